"""What of a synthesis must have been said by somebody, and how little of it is held back until that is known."""

from __future__ import annotations

import time

import pytest

from fusiond.fuse.checked import Check
from fusiond.fuse.provenance import Invented, sources

DRAFT = """The bridge is 1,280 metres long and cost $3.5 million. See https://example.org/bridge.

```python
def area(r):
    return 3.14 * r ** 2
```

It serves 2 000 000 users by RFC9110 at 7.00 dollars since 2024-05-01; see https://example.org/a_(b)/.

As he said, "a fine thing". Use `ls -l`. The reply is {"name": "Ann", "age": 30}."""
KNOWN = sources([DRAFT])

FOUNDED = [
    "It is 1280 metres long.",
    "It cost 3.5 million.",
    "1. It is long.\n2. It cost a lot.\n",
    "Read [this](https://example.org/bridge).",
    "He called it “a fine thing.”",
    "Run `ls -l` now.",
    "Here:\n```python\ndef area(r):\n    return 3.14 * r ** 2\n```\nDone.",
    "Here:\n\n  ~~~\n  def area(r):\n      return 3.14 * r ** 2\n  ~~~\n",
    '```json\n{\n  "age": 30,\n  "name": "Ann"\n}\n```\n',
    '{"age": 30, "name": "Ann"}',
    "```\nls -l\n```",
    "> a fine thing\n",
    "Nothing exact in here, whatever it says!",
    "H2O and B2B are names.",
    "**Step 1:** It is long.\n**Step 2:** It is old.\n",
    "1. It is long.\n   1.1 It is old.\n",
    "| # | what |\n|---|---|\n| 1 | long |\n| 2 | old |\n",
    "It serves 2,000,000 users by RFC 9110 at 7 dollars.",
    "See https://example.org/a_(b) .",
    "> ```\n> ls -l\n> ```\n",
    "1. ```\n   ls -l\n   ```\n",
    'Use: {\n  "age": 30,\n  "name": "Ann"\n} now.',
    "Run <code>ls -l</code> now.",
    "Since May 1, 2024.",
    "“A fine thing”, he said.",
]
INVENTED = [
    ("It is 1281 metres long.", "the number 1281"),
    ("It cost -3.5 million.", "the number -3.5"),
    ("It is 12 metres long.", "the number 12"),
    ("See https://example.org/bridges.", "the link https://example.org/bridges"),
    ("See https://example.org/.", "the link https://example.org/"),
    ("He called it “a finer thing”.", 'the quotation "a finer thing"'),
    ('He called it "fin".', 'the quotation "fin"'),
    ("Run `rm -rf` now.", "the code `rm -rf`"),
    ("```python\ndef area(r):\n    return 3.15 * r ** 2\n```\n", "a block of code (```python)"),
    ("```python\ndef area(r):\n  return 3.14 * r ** 2\n```\n", "a block of code (```python)"),
    ('{"name": "Bob", "age": 30}', "the document "),
    ('{\n"name": "Ann",\n"age": 31}\n', "the document "),
    ("> a bad thing\n", "the quotation "),
    ("1. It is 99 metres long.\n", "the number 99"),
    ("- ```bash\n  rm -rf\n  ```\n", "a block of code (- ```bash)"),
    ("1. ```bash\n   rm -rf\n   ```\n", "a block of code (1. ```bash)"),
    ("> ```bash\n> rm -rf\n> ```\n", "a block of code (> ```bash)"),
    ('Use: {\n  "admin": true,\n  "user": null\n}\n', "the document "),
    ('Use ["user", true, null].', "the document "),
    ("Run <code>rm -rf /</code> now.", "the code <code>"),
    ("Run <pre>\nimport evil\n</pre> now.", "the code <pre>"),
    ("By RFC9999.", "the number 9999"),
    ("Take ½ of it.", "the number ½"),
    ("See HTTPS://EVIL.example/PAY now.", "the link HTTPS://EVIL.example/PAY"),
    ("See evil.example.com/pay now.", "the link evil.example.com/pay"),
    ("Write to pay@evil.example now.", "the link pay@evil.example"),
    ("See <a href=//evil.example/x>this</a>.", "the link //evil.example/x"),
    ("See https://example.org/a_(c) now.", "the link https://example.org/a_(c)"),
    ("彼は『全部嘘だ』と言った。", 'the quotation "全部嘘だ"'),
]


def released(text: str, size: int) -> str:
    """The text fed in pieces of that size."""
    check = Check(KNOWN)
    out = "".join(check.feed(text[start : start + size]) for start in range(0, len(text), size))
    return out + check.rest(cut=False)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("text", [*FOUNDED, DRAFT])
def test_what_was_said(text: str, size: int) -> None:
    """It comes out as it was written, however it comes in."""
    assert released(text, size) == text


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(("text", "what"), INVENTED)
def test_what_nobody_said(text: str, what: str, size: int) -> None:
    """It is named."""
    with pytest.raises(Invented) as invented:
        released(f"First.\n{text}", size)
    assert str(invented.value).startswith(what)
    assert str(invented.value).endswith(" is in no draft")


def test_no_more_than_a_sentence_is_held_back() -> None:
    """Prose goes out sentence by sentence, a block when it ends, a quotation when it closes."""
    check = Check(KNOWN)
    assert check.feed("It is long. It") == "It is long."
    assert check.feed(" is old.\nHe said ") == " It is old.\n"
    assert check.feed('"a fine thing". And') == 'He said "a fine thing".'
    assert check.feed(" so on.\n```python\ndef area(r):\n") == " And so on.\n"
    assert check.feed("    return 3.14 * r ** 2\n") == ""
    assert check.feed("```\n") == "```python\ndef area(r):\n    return 3.14 * r ** 2\n```\n"


def test_what_was_cut_off() -> None:
    """Half of the last word is no invention, nor is half of a block; but what stands before it may be."""
    for text in ("It is 12", "```python\ndef area(r):\n    ret", "See https://exam"):
        check = Check(KNOWN)
        assert check.feed(text) + check.rest(cut=True) == text
    check = Check(KNOWN)
    check.feed("It is 12 metres lo")
    with pytest.raises(Invented):
        check.rest(cut=True)


@pytest.mark.parametrize("piece", ["`", '"', "“", "[", '{"', "```\n", "1,", "http://", '{"a":', "> ", "a. ", '". ', "*"])
def test_hostile_writers_take_no_time(piece: str) -> None:
    """Whatever is repeated, word by word."""
    text = piece * (40_000 // len(piece))
    began = time.process_time()
    check = Check(sources([text]))
    for start in range(0, len(text), 8):
        check.feed(text[start : start + 8])
    check.rest(cut=True)
    assert time.process_time() - began < 3
