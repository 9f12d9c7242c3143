"""Sets of questions, the answers to them, and what both say: figures that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from fusiond.scoring.answers import answer_line, kept
from fusiond.scoring.figures import calibration, paired, percentile, wilson
from fusiond.scoring.picture import picture
from fusiond.scoring.questions import BadSet, Question, read_set
from fusiond.scoring.recorded import read_recorded
from fusiond.scoring.summary import marked, summary

TOP = Path(__file__).parent.parent.parent
SUM = {"id": 1, "question": "What is 2 + 2? Answer with the number.", "gold": 4}


def written(path: Path, *lines: object) -> Path:
    """A file with these lines; texts as they are, all else as JSON."""
    file = path / "set.jsonl"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return file


def said(text: str, *members: dict[str, Any], cost: float = 0.0, confidence: float | None = None) -> dict[str, Any]:
    """An answer of the daemon's with its trace."""
    trace: dict[str, Any] = {"strategy": "vote", "decision": "majority", "confidence": confidence, "degraded": [], "members": members}
    return {"choices": [{"message": {"content": text}}], "usage": {"cost": cost}, "fusion": trace}


def part(member: str, text: str, status: str = "answered", *, sample: int = 1, cost: float = 0.0) -> dict[str, Any]:
    """A member's part in a trace."""
    told = {"member": member, "sample": sample, "model": member, "place": "local", "role": "panel", "status": status, "key": None, "text": text}
    return {**told, "first_token_ms": 1.0, "total_ms": 250.0, "usage": {"prompt_tokens": 9, "completion_tokens": 3}, "cost_usd": cost, "error": None}


def test_a_set_is_read(tmp_path: Path) -> None:
    """Golds of every kind become keys; what cannot be scored says why."""
    questions = read_set(
        written(
            tmp_path,
            SUM,
            "",
            {"id": "b", "question": "Is 7 prime? Answer yes or no.", "gold": True},
            {"id": "c", "messages": [{"role": "user", "content": "Which?\nA) one\nB) two\nAnswer with the letter."}], "gold": "B"},
            {"id": "d", "question": "Give it.", "schema": {"type": "object"}, "gold": {"a": 1.0}},
            {"id": "e", "question": "Tell me of it.", "kind": "text", "gold": "The Paris"},
            {"id": "f", "question": "Write a poem.", "gold": "roses"},
            {"id": "g", "question": "Write a function.", "tests": ["assert f() == 1"]},
        ),
        max_tokens=9,
    )
    assert [(each.id, each.gold) for each in questions] == [
        ("1", "4"), ("b", "yes"), ("c", "B"), ("d", '{"a":1}'), ("e", "paris"), ("f", None), ("g", None),
    ]  # fmt: skip
    assert [each.unscored for each in questions[5:]] == ['no countable answer is asked for (say which with "kind")', "code is not run"]
    assert questions[0].body == {"messages": [{"role": "user", "content": SUM["question"]}], "max_tokens": 9}
    assert questions[3].body["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", ":2: is no JSON: "),
        ("[]", ":2: must be an object, such as "),
        ({**SUM, "id": 2, "golden": 1}, ":2: golden: unknown field (there are id, "),
        ({**SUM, "id": ""}, ":2: id: must be a text or a whole number"),
        (SUM, ":2: id: '1' stands above already: "),
        ({"id": 2, "question": "2 + 2?"}, ":2: gold: is missing"),
        ({"id": 2, "gold": 4}, ":2: must have either question or messages"),
        ({**SUM, "id": 2, "question": " "}, ":2: question: must be a text"),
        ({**SUM, "id": 2, "gold": "many"}, ":2: gold: 'many' is no number, which the question asks for"),
        ({**SUM, "id": 2, "kind": "boolean"}, ":2: gold: '4' is no boolean out of yes, no, which"),
        ({**SUM, "id": 2, "kind": "essay"}, ":2: kind: must be one of choice, number, "),
        ({"id": 2, "messages": [{"role": "x", "content": ""}], "gold": 4}, ":2: messages[0].role must be one of "),
        ({**SUM, "id": 2, "schema": {"type": 7}}, ":2: response_format.json_schema.schema is not a JSON Schema: "),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_with_a_set(line: object, fault: str, tmp_path: Path) -> None:
    """The file, the line, the field and the way out."""
    file = written(tmp_path, SUM, line)
    with pytest.raises(BadSet) as bad:
        read_set(file)
    assert str(bad.value).startswith(f"{file}{fault}")


def test_all_faults_of_a_set_are_told_at_once(tmp_path: Path) -> None:
    """The first twenty, and how many more; a set without a question is one, too."""
    with pytest.raises(BadSet) as bad:
        read_set(written(tmp_path, *["{"] * 22))
    assert [str(bad.value).count("\n"), str(bad.value).splitlines()[-1]] == [20, "... and 2 more"]
    with pytest.raises(BadSet, match="there is no question in it"):
        read_set(written(tmp_path))


def test_the_set_that_is_shipped() -> None:
    """Every question has an answer that can be counted but one, which no words ask for clearly."""
    questions = read_set(TOP / "bench" / "questions.jsonl")
    assert len(questions) == 230
    assert [each.id for each in questions if each.unscored] == ["fact-14"]


def question(gold: str = "4") -> Question:
    """One that asks for a number."""
    return Question(id="1", body={"messages": []}, wanted=_number(), gold=gold)


def _number() -> Any:
    from fusiond.keys import Wanted  # noqa: PLC0415

    return Wanted(kind="number")


def test_an_answer_is_right_where_it_says_what_is_right(tmp_path: Path) -> None:
    """By key, and of short texts by the subset rule; a refusal or a cut says nothing, which is not right."""
    assert [question().right(text) for text in ("It is **4.0**.", "5", "I cannot say.", "")] == [True, False, False, False]
    (capital,) = read_set(written(tmp_path, {"id": 1, "question": "What is the capital of France? Answer with its name.", "gold": "Paris"}))
    assert [capital.right(text) for text in ("Paris.", "It is Paris", "Not Paris", "Lyon")] == [True, True, False, False]


def test_shares_and_their_intervals() -> None:
    """Wilson's interval as in its tables (8 of 10, 0 of 10), and percentiles by nearest rank."""
    share = wilson(8, 10)
    assert (round(share.low, 4), share.value, round(share.high, 4)) == (0.4902, 0.8, 0.9433)
    assert (wilson(0, 10).low, round(wilson(0, 10).high, 4), wilson(10, 10).high) == (0.0, 0.2775, 1.0)
    assert [percentile([4.0, 1.0, 3.0, 2.0], share) for share in (0.0, 0.5, 0.95)] == [1.0, 2.0, 4.0]


def test_paired_differences_are_the_same_every_time() -> None:
    """The interval holds the mean, is near the one of a normal distribution, and is a point where nothing differs."""
    differences = [1.0] * 30 + [-1.0] * 10 + [0.0] * 160
    share = paired(differences)
    assert share == paired(differences)
    assert share.value == 0.1
    assert (abs(share.low - 0.039) < 0.012, abs(share.high - 0.161) < 0.012) == (True, True)
    assert paired([0.0, 0.0]).low == paired([0.0, 0.0]).high == 0.0


def test_calibration() -> None:
    """Two bins, one ten points too sure and one that is right."""
    bins, error = calibration([(0.9, True)] * 8 + [(0.9, False)] * 2 + [(0.5, True), (0.5, False), (1.0, True)] * 5)
    assert [(each.count, round(each.confidence, 3), round(each.right, 3)) for each in bins] == [(10, 0.5, 0.5), (15, 0.933, 0.867)]
    assert round(error, 4) == round(15 * (0.9 + 0.1 / 3 - 13 / 15) / 25, 4)


def test_answers_outlive_whoever_writes_them(tmp_path: Path) -> None:
    """A line that was cut off is taken away; another run is told to wait; what was asked otherwise is not answered."""
    file = tmp_path / "answers.jsonl"
    with kept(file) as answers:
        answers.add(answer_line(question(), "fusion", said("4", part("a", "It is 4.")), 0.5))
        with pytest.raises(BadSet, match="another run writes it"), kept(file):
            pass
    whole = file.read_bytes()
    file.write_bytes(whole + whole[: len(whole) // 2])
    with kept(file) as answers:
        line = answers.get(question(), "fusion")
        assert line
        assert (line["right"], line["gold"], line["members"][0]["key"], line["members"][0]["seconds"]) == (True, "4", "4", 0.25)
        assert answers.get(question(), "other") is None
        assert answers.get(Question(id="1", body={"messages": [], "max_tokens": 1}), "fusion") is None
    assert file.read_bytes() == whole
    file.write_bytes(whole + b"{}\n")
    with pytest.raises(BadSet, match=r"answers.jsonl:2: is no answer that fusiond eval has stored"), kept(file):
        pass


def test_what_answers_say_of_whoever_gave_them() -> None:
    """A member's own answer is its first sample where it came to an end, else what it said alone; who failed was not right."""
    questions = [Question(id=str(n), body={"n": n}, wanted=_number(), gold="4") for n in range(4)]
    lines = [
        answer_line(
            questions[0], "fusion", said("4", part("a", "4"), part("a", "5", sample=2), part("b", "4", cost=0.25), cost=0.25, confidence=0.9), 2
        ),
        answer_line(questions[1], "fusion", said("4", part("a", "5"), part("b", "", "failed"), confidence=0.7), 4),
        answer_line(questions[2], "fusion", said("5", part("a", "5"), part("b", "4", "cancelled"), confidence=0.5), 1),
        answer_line(questions[2], "b", said("4", part("b", "4"), cost=0.5), 3),
    ]
    told = summary([*questions, Question(id="x", body={}, unscored="code is not run")], marked(questions, lines, [("fusion", "3")]), ["fusion"])
    assert [(s.name, s.fused, s.questions, s.right, s.failed, s.cost_usd) for s in told.standings] == [
        ("fusion", True, 4, 2, 1, 0.25), ("a", False, 3, 1, 0, 0.0), ("b", False, 3, 2, 1, 0.75),
    ]  # fmt: skip
    assert [(s.p50, s.p95) for s in told.standings] == [(2, 4), (0.25, 0.25), (0.25, 3)]
    assert (told.scored, dict(told.unscored), told.unheard) == (4, {"code is not run": 1}, {"a": 1, "b": 1})
    assert told.ceiling == wilson(2, 3)
    assert [(v.member, v.questions, round(v.difference.value, 3)) for v in told.versus] == [("a", 3, 0.333), ("b", 3, 0.0)]
    assert told.calibration[0].questions == 3


@pytest.mark.parametrize("cost", [0.0, 0.002])
def test_the_picture_is_whole_and_names_everybody(cost: float) -> None:
    """XML that can be read; the axis is money where some was spent, else time; a name that looks like markup is text."""
    questions = [Question(id=str(n), body={"n": n}, wanted=_number(), gold="4") for n in range(3)]
    lines = [answer_line(each, "fusion", said("4", part("<a>", "4"), part("b", "5"), cost=cost), 1) for each in questions]
    root = ET.fromstring(picture(summary(questions, marked(questions, lines), ["fusion"])))  # noqa: S314  # our own words
    words = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"fusion 100.0%", "<a> 100.0%", "b 0.0%"} < set(words)
    assert any(word.startswith("USD per 1000" if cost else "median seconds") for word in words)
    assert [float(circle.attrib["cy"]) < 120 for circle in root.iter("{http://www.w3.org/2000/svg}circle")] == [True, True, False]


@pytest.mark.parametrize("foreign", ["my precious text", '{"id": "1", "question": "2 + 2?", "gold": 4}', "a\n"])
def test_a_file_of_somebody_elses_is_left_alone(tmp_path: Path, foreign: str) -> None:
    """With a line end or without."""
    path = tmp_path / "mine.txt"
    path.write_text(foreign, encoding="utf-8")
    with pytest.raises(BadSet, match="name another file with --out"), kept(path):
        pass
    assert path.read_text(encoding="utf-8") == foreign


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "zzz"},
        {"kind": 5},
        {"gold": {}},
        {"options": "x"},
        {"members": [{"member": "a", "sample": 1, "status": "answered", "right": False, "key": []}]},
    ],
)
def test_what_is_no_recorded_answer(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """Is told with its place, whatever is wrong with it."""
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"id": "1", "kind": "number", "gold": "4", "options": 0, "members": [], **wrong}) + "\n", encoding="utf-8")
    with pytest.raises(BadSet, match=r"answers.jsonl:1: is no recorded answer"):
        read_recorded([path], lambda name: name)
