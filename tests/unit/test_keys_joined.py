"""The subset rule for short texts, once all answers are in."""

from __future__ import annotations

from itertools import permutations

import pytest

from fusiond.keys import Wanted, joined, key, may_join

WORDS = Wanted(kind="text")


def join(*texts: str | None) -> list[str | None]:
    """The joined keys of some answers, in their order."""
    keys = {str(place): None if text is None else key(WORDS, text) for place, text in enumerate(texts)}
    return list(joined(WORDS, keys).values())


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("Paris", "Paris, France"),
        ("Einstein", "Albert Einstein"),
        ("Paris", "The capital of France is Paris"),
        ("Amazon", "the Amazon River"),
        ("Париж", "Париж, Франция"),
        ("Curie", "Die Antwort: Marie Curie"),
    ],
)
def test_an_answer_joins_the_one_that_says_it_and_more(shorter: str, longer: str) -> None:
    """A text whose words all stand in a longer one is the same answer."""
    one, other = join(shorter, longer)
    assert one == other is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "not Paris"),
        ("Paris", "Lyon"),
        ("World War", "World War 2"),
        ("Korea", "North Korea"),
        ("Paris", "Paris or Lyon"),
        ("Paris", "Paris never"),
        ("World War", "Second World War"),
        ("Bush", "Bush junior"),
        ("Paris", "nicht Paris"),
        ("Paris", "Paris oder Lyon"),
        ("Rom", "Rom aber Neapel"),
        ("Roma", "non Roma"),
        ("Lisboa", "não Lisboa"),
        ("Orleans", "Nouvelle Orleans"),
        ("Корея", "Северная Корея"),
        ("Париж", "не Париж"),
        ("القاهرة", "ليس القاهرة"),
    ],
)
def test_what_tells_answers_apart_keeps_them_apart(one: str, other: str) -> None:
    """A negation, a number or a contrasting word in what the longer says more makes it another answer."""
    first, second = join(one, other)
    assert first != second


def test_an_answer_that_could_be_two_others_stays_alone() -> None:
    """Where several longer answers hold a shorter one, nobody knows which was meant."""
    assert join("Paris", "Paris France", "Paris Texas") == ["paris", "paris france", "paris texas"]


def test_missing_keys_stay_missing() -> None:
    """Who said nothing joins nobody."""
    assert join("Paris", None) == ["paris", None]


def test_the_order_of_answers_does_not_matter() -> None:
    """The same answers come to the same keys, in whatever order they arrived."""
    keys = {"a": "paris", "b": "paris france", "c": "capital is paris france", "d": "lyon", "e": None, "f": "not paris"}
    expected = joined(WORDS, keys)
    for order in permutations(keys):
        assert joined(WORDS, {name: keys[name] for name in order}) == expected


@pytest.mark.parametrize("wanted", [Wanted(kind="number"), Wanted(kind="choice"), Wanted(kind="json"), Wanted(kind="text", form="string")])
def test_other_kinds_are_left_alone(wanted: Wanted) -> None:
    """The rule is for short texts compared by words; no other outcome can still change."""
    keys = {"a": "1 2", "b": "1 2 cats"}
    assert joined(wanted, keys) == keys
    assert not may_join(wanted)
    assert may_join(WORDS)
