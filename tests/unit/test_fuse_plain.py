"""What a judge is shown of an answer: its substance, not its dress."""

from __future__ import annotations

import time

import pytest

from fusiond.fuse.plain import CUT, plain, shortened


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Certainly! **It is 4.**", "It is 4."),
        ("# Answer\n\nIt is \U0001f600 **wet**.", "Answer\n\nIt is wet."),
        ("It is wet.\n\nI hope this helps! Let me know if you have questions.", "It is wet."),
        ("2**3 is 8 and __init__ stays in `__init__`", "2**3 is 8 and __init__ stays in `__init__`"),
        ("So:\n```python\n# **note**\nx = 2 ** 3\n```\n**Done**", "So:\n```python\n# **note**\nx = 2 ** 3\n```\nDone"),
        ("```\n# open\n**end", "```\n# open\n**end"),
        ("Let me know if it is wet.", "Let me know if it is wet."),
        ("Sure, it is wet.", "Sure, it is wet."),
    ],
)
def test_substance(said: str, left: str) -> None:
    """Dress is taken off outside of code; where nothing would be left, all is."""
    assert plain(said) == left


def test_a_cut_keeps_head_and_tail() -> None:
    """And says that something is missing; bytes are counted, and no letter is halved."""
    text = "ä" * 50 + "b" * 100
    cut = shortened(text, 21)
    assert cut.startswith("äääää\n[trun")
    assert cut.endswith(CUT + "b" * 10)
    assert shortened(text, None) == shortened(text, 200) == text


@pytest.mark.parametrize("piece", ["```\n", "**", "`", "# ", "let me know ", "~~~x\n", "sure "])
def test_hostile_answers_take_no_time(piece: str) -> None:
    """Whatever is repeated."""
    began = time.process_time()
    plain(piece * 20_000)
    assert time.process_time() - began < 2
