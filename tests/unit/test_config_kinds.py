"""What a fusion says of single kinds of answer, and what becomes of it in a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusiond.chat import Overrides
from fusiond.config import load
from fusiond.config.tree import FusionConfig, KindConfig
from fusiond.plan import Plan, plan
from tests.asking import question
from tests.planning import PROSE, YES_NO, catalog, situation
from tests.unit.test_config_rules import BASE, errors

CASCADE = "[fusions.f]\nstrategy = 'cascade'\npanel = ['qwen', 'ollama/*']\nescalate = ['gemma']\n"
TUNED = {"boolean": KindConfig(panel=("b",), thrift=0.5, skills={"b": 0.9, "dear": 0.6})}


def test_it_lies_beside_the_fusion_in_a_file_of_its_own(tmp_path: Path) -> None:
    """An included file says it, and the main file keeps what it says itself."""
    (tmp_path / "config.toml").write_text('include = ["tuned.toml"]\n' + BASE + CASCADE, encoding="utf-8")
    (tmp_path / "tuned.toml").write_text(
        "[fusions.f.kinds.number]\nthrift = 0\npanel = ['qwen', 'ollama/x']\nskills = { gemma = 0.7 }\n", encoding="utf-8"
    )
    fusion = load(tmp_path / "config.toml").fusions["f"]
    assert fusion.kinds == {"number": KindConfig(panel=("qwen", "ollama/x"), thrift=0, skills={"gemma": 0.7})}
    assert (fusion.thrift, len(fusion.panel)) == (FusionConfig().thrift, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numbr = {}", "kinds.numbr: there is no kind 'numbr' (did you mean 'number'?)"),
        ("number = { thrif = 1 }", "kinds.number.thrif: unknown key (did you mean 'thrift'?)"),
        ("number = { thrift = -1 }", "kinds.number.thrift: must be at least 0"),
        ("number = { skills = { qwen = 1.0 } }", "kinds.number.skills.qwen: must be between 0 and 1, and neither of them"),
        ("number = { skills = { qwn = 0.5 } }", "kinds.number.skills: 'qwn' is not asked in this fusion (did you mean 'qwen'?)"),
        ("number = { panel = ['gemma'] }", "kinds.number.panel: 'gemma' is not asked in this fusion"),
        ("number = { panel = [] }", "kinds.number.panel: must name at least one member"),
    ],
)
def test_what_is_wrong_with_it(text: str, expected: str, tmp_path: Path) -> None:
    """The path, the reason, the nearest name."""
    assert errors(tmp_path, f"{CASCADE}[fusions.f.kinds]\n{text}") == [f"fusions.f.{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("strategy = 'single'\npanel = ['qwen']\nkinds = { number = {} }", "kinds: is for the strategies vote, cascade and adaptive"),
        (
            "strategy = 'vote'\npanel = ['qwen']\nkinds = { number = { thrift = 0.1 } }",
            "kinds.number.thrift: is for the strategies cascade and adaptive",
        ),
    ],
)
def test_what_would_have_no_effect(text: str, expected: str, tmp_path: Path) -> None:
    """Is an error rather than a key that nobody reads."""
    assert errors(tmp_path, f"[fusions.f]\n{text}") == [f"fusions.f.{expected}"]


def planned(text: str, **fields: object) -> Plan:
    """The plan of a cascade that is tuned for yes and no."""
    served = catalog("a", "b", strategy="cascade", escalate=("dear",), kinds=TUNED)
    return plan(question(text, **fields), served, situation(0.0))


def facts(plan: Plan) -> tuple[list[str], float, list[float | None]]:
    """Who is asked, the thrift, and what is known of everybody."""
    return [call.voice for call in plan.calls], plan.thrift, [voter.prior for voter in plan.voters]


def test_it_holds_for_its_kind_alone() -> None:
    """Others are answered as the fusion says; and a panel that a request names is asked whole, as nobody has measured it."""
    assert facts(planned(YES_NO)) == (["b"], 0.5, [0.9, 0.6])
    assert facts(planned("What is 2 + 2? Answer with the number."))[:2] == (["a", "b"], FusionConfig().thrift)
    assert planned(PROSE).strategy == "single"
    assert facts(planned(YES_NO, overrides=Overrides(panel=("a", "b")))) == (["a", "b"], FusionConfig().thrift, [None, None, None])
