"""Documents merged field by field: what stands, where, and how likely; and what holds of any documents whatever."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusiond.documents import Merged, TooMuch, merge
from fusiond.documents.effort import DEEPEST
from fusiond.documents.writing import says
from fusiond.keys import document
from fusiond.keys.document import NotJson, parse
from fusiond.policy.belief import Model, Voter, verdict

PEERS = tuple(Voter(name=name) for name in "abcde")
RANKED = tuple(Voter(name=name, prior=prior) for name, prior in (("a", 0.8), ("b", 0.7), ("c", 0.6), ("d", 0.5), ("e", 0.4)))
"""From the most skilled."""


def merged(*texts: str, panel: Sequence[Voter] = PEERS) -> Merged:
    """The merge of so many voices' documents, in panel order."""
    panel = panel[: len(texts)]
    return merge({voter.name: text for voter, text in zip(panel, texts, strict=True)}, panel)


def leaves(value: Any) -> Iterator[Any]:
    """Everything in a document that holds nothing else."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not inner:
        yield value
    for item in inner:
        yield from leaves(item)


def at(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


@pytest.mark.parametrize(
    ("texts", "stands"),
    [
        (['{"a": 1, "b": 2}', '{"a": 1, "b": 3}', '{"a": 4, "b": 3}'], '{"a": 1, "b": 3}'),
        (['{"ok": true, "x": "no"}', '{"ok": false, "x": "no"}', '{"ok": false, "x": "yes"}'], '{"ok": false, "x": "no"}'),
        (['{"city": "Rome"}', '{"city": "ROME "}', '{"city": "Milan"}'], '{"city": "Rome"}'),
        (['{"a": null}', '{"a": {"b": 1}}', '{"a": {"b": 1}}'], '{"a": {"b": 1}}'),
        (['{"a": "1"}', '{"a": 1}', '{"a": "1"}'], '{"a": "1"}'),
        (['{"a": {"b": {"c": 1, "d": 2}}}', '{"a": {"b": {"c": 1, "d": 3}}}', '{"a": {"b": {"c": 4, "d": 3}}}'], '{"a": {"b": {"c": 1, "d": 3}}}'),
        (["true", "false", "false"], "false"),
    ],
)
def test_fields_are_voted_on(texts: list[str], stands: str) -> None:
    """Each by itself, at any depth; strings without regard to case and blanks, in the words of the most skilled who says so."""
    assert merged(*texts).text == stands


@pytest.mark.parametrize(
    ("numbers", "stands"),
    [
        (["1", "9", "5"], "5"),
        (["9", "9", "1"], "9"),
        (["10", "10.0", "50", "51", "52"], "10"),
        (["3", "1"], "3"),
        (["8", "1", "2", "9"], "8"),
        (["1e999", "-1e999", "0.1"], "0.1"),
        (["12345678901234567890123", "12345678901234567890125", "12345678901234567890124"], "12345678901234567890124"),
    ],
)
def test_numbers(numbers: list[str], stands: str) -> None:
    """What several say, else what is nearest to the median; of two that are as near, the more skilled one's. Nothing is rounded."""
    assert merged(*(f'{{"n": {number}}}' for number in numbers), panel=RANKED).text == f'{{"n": {stands}}}'


@pytest.mark.parametrize(
    ("texts", "stands"),
    [
        (['{"a": 1, "x": 1}', '{"a": 1}', '{"a": 1}'], '{"a": 1}'),
        (['{"a": 1}', '{"a": 1, "x": 2}', '{"x": 2, "a": 1}'], '{"a": 1, "x": 2}'),
        (['{"a": 1, "x": 1}', '{"a": 1}'], '{"a": 1, "x": 1}'),
        (['{"a": 1}', '{"a": 1, "x": 1}'], '{"a": 1}'),
        (['{"b": 1, "a": 1}', '{"a": 1, "b": 1}', '{"a": 1, "b": 2}'], '{"b": 1, "a": 1}'),
        (['{"a": 1, "c": 1}', '{"a": 1, "b": 1, "c": 1}', '{"a": 1, "b": 1, "c": 1}'], '{"a": 1, "b": 1, "c": 1}'),
        (['{"a": 1}', '{"b": 1}', '{"c": 1}'], '{"a": 1}'),
    ],
)
def test_names(texts: list[str], stands: str) -> None:
    """Stay that most have, of an even split as the most skilled has it, in the order of the most skilled; nothing in common leaves one as it is."""
    assert merged(*texts, panel=RANKED).text == stands


@pytest.mark.parametrize(
    ("texts", "stands"),
    [
        (['["a", "b"]', '["b", "c"]', '["c", "b", "d"]'], '["b", "c"]'),
        (['["b", "a"]', '["a", "b"]', '["a", "b"]'], '["a", "b"]'),
        (['["x", "x"]', '["x", "x"]', '["x"]'], '["x", "x"]'),
        (["[1, 2.0, 3]", "[1, 2.1, 3]", "[1, 2.2, 4]"], "[1, 2.1, 3]"),
        (["[3, 1, 2]", "[1, 2, 3]", "[1, 2, 3]"], "[1, 2, 3]"),
        (["[1, 2]", "[1, 2, 3]", "[1, 2, 3, 4]"], "[1, 2, 3]"),
        (["[[1, 2], [3, 4]]", "[[1, 2], [3, 5]]", "[[0, 2], [3, 5]]"], "[[1, 2], [3, 5]]"),
        (["[]", '["a"]', '["b"]'], "[]"),
        (['["a"]', '["b"]', '["c"]'], '["a"]'),
        (['["a", 1]', '["a", {"b": 1}]', '["a", {"b": 1.0}]'], '["a", {"b": 1}]'),
    ],
)
def test_lists(texts: list[str], stands: str) -> None:
    """Items stay that most have, in the order of the most skilled, unless most lists are equal; numbers are known by their place."""
    assert merged(*texts, panel=RANKED).text == stands


@pytest.mark.parametrize(
    ("lists", "stands"),
    [
        (  # by a key, in another order, one row invented, one left out
            ([("ann", 1), ("bob", 2)], [("bob", 2), ("ann", 3), ("eve", 9)], [("ann", 3)]),
            [("ann", 3), ("bob", 2)],
        ),
        (  # two that tell rows apart: the one by which more agrees
            ([(1, "ann", "x"), (2, "bob", "y")], [(1, "bob", "y"), (2, "eve", "z")], [(1, "ann", "x"), (2, "bob", "y")]),
            [(1, "ann", "x"), (2, "bob", "y")],
        ),
        (  # nothing tells them apart: the best assignment over equal fields
            ([(1, 2, 3), (1, 5, 6)], [(1, 5, 7), (1, 2, 3)], [(1, 2, 3), (1, 5, 7)]),
            [(1, 2, 3), (1, 5, 7)],
        ),
        (  # of another length: rows with less than half in common are others
            ([(0, 0, 1), (0, 0, 2)], [(9, 9, 1), (0, 0, 2), (0, 0, 2)], [(0, 0, 2), (0, 0, 1)]),
            [(0, 0, 1), (0, 0, 2)],
        ),
        (  # equal rows are as many as most have of them
            ([("x", "y"), ("x", "y")], [("x", "y"), ("x", "y"), ("x", "y")], [("x", "y")]),
            [("x", "y"), ("x", "y")],
        ),
        (  # what is measured is no key, however unique
            ([(1.01, 2.0), (3.0, 4.5)], [(1.02, 2.0), (3.0, 4.6)], [(1.03, 2.0), (3.0, 4.7)]),
            [(1.02, 2.0), (3.0, 4.6)],
        ),
        (([], [], [("x", "y")]), []),
    ],
    ids=["key", "keys", "assignment", "others", "equal", "measured", "none"],
)
def test_rows(lists: Sequence[Sequence[tuple[Any, ...]]], stands: Sequence[tuple[Any, ...]]) -> None:
    """Rows that are the same one are merged like any objects; they stay if most have them."""
    texts = [json.dumps({"rows": [dict(zip("kvw", row, strict=False)) for row in rows]}) for rows in lists]
    assert [tuple(row.values()) for row in json.loads(merged(*texts, panel=RANKED).text)["rows"]] == stands


def test_every_number_and_sign_is_as_it_was_said() -> None:
    """Digits, exponents, and letters beyond ASCII."""
    text = '{"big": 123456789012345678901234567890, "one": 1.0, "tiny": 1E-7, "exact": 0.1000, "né": "日本 \\u00e9 \\n \\"q\\" 😀"}'
    stands = merged(text, text.replace("0.1000", "0.2"), text.replace("1.0,", "2,")).text
    assert stands == text.replace("\\u00e9", "é")


def test_what_is_no_document() -> None:
    """Is not merged: a name that stands twice, a number that is none, half of a document."""
    for text in ('{"a": 1, "a": 2}', '{"a": NaN}', '{"a": ', "[" * 10_000 + "]" * 10_000):
        with pytest.raises(NotJson):
            merged("{}", text)


def test_fields_are_as_likely_as_answers() -> None:
    """A field's chance is that of a vote in which the voices stand as they do there; who has nothing there votes against it."""
    found = merged('{"a": 1, "b": [{"c/d": true}]}', '{"a": 1, "b": [{"c/d": false}]}', '{"a": 2, "b": []}')
    panel = PEERS[:3]
    agreed = verdict(Model(), panel, dict(zip(panel, ("x", "x", "y"), strict=True))).confidence
    scattered = verdict(Model(), panel, dict(zip(panel, ("x", "y", "z"), strict=True))).confidence
    assert found.fields == pytest.approx({"/a": agreed, "/b/0/c~1d": scattered})
    assert found.agreement == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert found.confidence == pytest.approx(agreed * scattered)


def test_disputes_between_the_same_voices_are_one() -> None:
    """Whoever is wrong in one field may well be wrong in another: the document is as sure as its least sure field."""
    once, often = (
        merged('{"a": 1, "b": 1}', '{"a": 1, "b": 1}', '{"a": 2, "b": 1}'),
        merged('{"a": 1, "b": 1}', '{"a": 1, "b": 1}', '{"a": 2, "b": 2}'),
    )
    assert once.confidence == often.confidence == once.fields["/a"]


@pytest.mark.parametrize(
    "texts",
    [
        [json.dumps([*range(start, start + 100_000)]) for start in range(3)],
        ["[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)] * 2,
        [json.dumps([{"a": place % 7, "b": place % (turn + 2), "c": place % 3} for place in range(400)]) for turn in range(3)],
        [json.dumps({"a": letter * 1_000_000}) for letter in "ab"],
    ],
    ids=["long", "deep", "alike", "large"],
)
def test_what_would_take_too_long(texts: list[str]) -> None:
    """Is not merged at all."""
    with pytest.raises(TooMuch):
        merged(*texts)


untimed = settings(deadline=None)
NAMES = st.sampled_from(["a", "b", "c", "d/e"])
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1e30, 2.5]) | st.sampled_from(["x", "X", "y y", "é"])
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12)


@untimed
@given(DOCUMENTS, st.integers(1, 5))
def test_equal_documents_come_to_themselves(value: Any, voices: int) -> None:
    """With one likelihood for every field."""
    text = json.dumps(value)
    found = merged(*[text] * voices)
    assert (found.key, found.agreement) == (document.key(text), 1.0)
    assert len(found.fields) == len([*leaves(value)])
    assert len(set(found.fields.values())) == 1


@untimed
@given(st.lists(DOCUMENTS, min_size=2, max_size=5))
def test_nothing_is_said_that_nobody_said(values: list[Any]) -> None:
    """Every leaf is a member's, and every pointer of the trace leads to one."""
    found = merged(*map(json.dumps, values))
    stands = parse(found.text)
    known = {says(leaf) for value in values for leaf in leaves(parse(json.dumps(value)))}
    assert {says(leaf) for leaf in leaves(stands)} <= known
    assert [says(at(stands, pointer)) for pointer in found.fields] == [says(leaf) for leaf in leaves(stands)]
    assert all(0 < chance < 1 for chance in found.fields.values())


@untimed
@given(st.lists(DOCUMENTS, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_members_means_nothing(values: list[Any], dice: random.Random) -> None:
    """Where their skills tell them apart."""
    panel = RANKED[: len(values)]
    said = {voter.name: json.dumps(value) for voter, value in zip(panel, values, strict=True)}
    shuffled = dice.sample(panel, len(panel))
    one, other = merge(said, panel), merge({voter.name: said[voter.name] for voter in shuffled}, shuffled)
    assert one.text == other.text
    assert one.agreement == pytest.approx(other.agreement)
    assert one.fields == pytest.approx(other.fields)


@untimed
@given(DOCUMENTS, st.lists(DOCUMENTS, min_size=2, max_size=2), st.permutations(range(5)))
def test_what_most_peers_say_stands(value: Any, others: list[Any], places: Sequence[int]) -> None:
    """Whatever the rest says, and whoever they are."""
    values = [value, value, value, *others]
    assert merged(*(json.dumps(values[place]) for place in places)).key == document.key(json.dumps(value))


@untimed
@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from("xyz")), min_size=1, max_size=8, unique_by=lambda row: row[0]),
    st.randoms(use_true_random=False),
)
def test_permuted_rows_come_to_the_same(rows: list[tuple[int, str]], dice: random.Random) -> None:
    """All in the order of the most skilled, unless most lists are equal."""
    told = [json.dumps([{"id": key, "x": value} for key, value in dice.sample(rows, len(rows))]) for _ in range(3)]
    found = merged(*told, panel=RANKED)
    assert sorted(json.loads(found.text), key=str) == sorted(json.loads(told[0]), key=str)
    if told[1] != told[2]:
        assert found.text == told[0]
    assert len({*found.fields.values()}) == 1


def test_an_early_outcome_is_the_late_one() -> None:
    """Three equal documents of five peers: whatever the two that are missing say, a leaf, a row or a name more or less, the same stands."""
    value = {"n": 1, "rows": [{"id": 1, "x": "a"}, {"id": 2, "x": "b"}], "tags": ["p", "q"]}
    changes: list[Any] = [value, {}, [], 5, None, {"n": 2}, {**value, "n": 7, "z": 1}, {**value, "rows": [{"id": 2, "x": "a"}]}, {"tags": ["q", "p"]}]
    changes += [{**value, "rows": [{"id": 2, "x": "c"}, {"id": 1, "x": "c"}, {"id": 3}], "tags": []}, {**value, "rows": [1, 2]}]
    for one, other in product(changes, repeat=2):
        assert merged(*map(json.dumps, [one, value, value, other, value])).key == document.dump(parse(json.dumps(value)))
