"""Properties: what stands around an answer, how it is set and in what case never change its key, and never make one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.keys import Wanted, key

NUMBER = Wanted(kind="number")
BOOLEAN = Wanted(kind="boolean", options=("yes", "no"))
CHOICE = Wanted(kind="choice", options=tuple("ABCDEFGHIJ"))
LABEL = Wanted(kind="label", options=("positive", "negative", "neutral", "very positive"))
WORDS = Wanted(kind="text")
STRING = Wanted(kind="text", form="string")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dress:
    """What stands around an answer."""

    before: str
    lead: str
    wrap: str
    after: str

    def on(self, answer: str) -> str:
        """The answer, dressed."""
        return f"{self.before}{self.lead}{self.wrap.replace('_', answer)}{self.after}"


BEFORE = ["", "\n\n", "Let me think about it step by step.\n\n", "<think>Is it 7, B or no? Unsure.</think>\n", "We look at each in turn.\r\n\r\n"]
LEAD = [
    "",
    "Answer: ",
    "The answer is ",
    "**Answer:** ",
    "Final answer: ",
    "### Answer\n",
    "So, the answer is: ",
    "Antwort: ",
    "La réponse est ",
    "答案是",
    "Ответ: ",
]
WRAP = ["_", "**_**", "`_`", '"_"', "<answer>_</answer>", "<answer>\n_\n</answer>", "\\boxed{_}", "$\\boxed{\\text{_}}$", "__ _ __".replace(" ", "")]
AFTER = ["", ".", "\n", "  \n\n", "</s>", "<|im_end|>", "\n\nLet me know if you have any questions!", ".\n\nI hope this helps!"]
DRESS = st.builds(Dress, before=st.sampled_from(BEFORE), lead=st.sampled_from(LEAD), wrap=st.sampled_from(WRAP[:-1]), after=st.sampled_from(AFTER))
CASE = st.sampled_from([str, str.lower, str.upper, str.capitalize])


@given(value=st.integers(min_value=-(10**12), max_value=10**12), form=st.sampled_from(["{}", "{:,}"]), dress=DRESS)
def test_a_whole_number_in_any_dress(value: int, form: str, dress: Dress) -> None:
    """With and without thousands parted."""
    assert key(NUMBER, dress.on(form.format(value))) == str(value)


@given(value=st.fractions(max_denominator=999, min_value=-999, max_value=999), dress=DRESS)
def test_a_fraction_in_any_dress(value: object, dress: Dress) -> None:
    """Also where its parts have signs."""
    assert key(NUMBER, dress.on(str(value))) == str(value)


@given(value=st.integers(min_value=0, max_value=10**6), unit=st.sampled_from([" km", " apples", "%", " €", "°", " m/s", " dollars"]), dress=DRESS)
def test_a_unit_in_any_dress(value: int, unit: str, dress: Dress) -> None:
    """What is counted does not count."""
    assert key(NUMBER, dress.on(f"{value}{unit}")) == str(value)


@given(letter=st.sampled_from("ABCDEFGHIJ"), form=st.sampled_from(["{}", "({})", "{})", "[{}]"]), dress=DRESS)
def test_a_letter_in_any_dress(letter: str, form: str, dress: Dress) -> None:
    """Bare or in brackets."""
    assert key(CHOICE, dress.on(form.format(letter))) == letter


@given(word=st.sampled_from(["yes", "no", "true", "false", "ja", "nein", "oui", "да", "нет"]), case=CASE, dress=DRESS)
def test_yes_and_no_in_any_dress(word: str, case: object, dress: Dress) -> None:
    """In several languages, in any case."""
    assert key(BOOLEAN, dress.on(case(word))) == ("yes" if word in ("yes", "true", "ja", "oui", "да") else "no")  # type: ignore[operator]


@given(label=st.sampled_from(LABEL.options), case=CASE, dress=DRESS)
def test_a_label_in_any_dress(label: str, case: object, dress: Dress) -> None:
    """In any case, as it was offered."""
    assert key(LABEL, dress.on(case(label))) == label  # type: ignore[operator]


@given(text=st.sampled_from(["Paris", "New York", "Москва", "東京", "Gabriel García Márquez", "C++", "القاهرة"]), case=CASE, dress=DRESS)
def test_a_short_text_in_any_dress(text: str, case: object, dress: Dress) -> None:
    """By its words, in any case and script."""
    assert key(WORDS, dress.on(case(text))) == text.lower()  # type: ignore[operator]


@given(
    refusal=st.sampled_from(["I don't know", "Cannot be determined", "Unknown", "I'm not sure", "N/A", "我不知道", "Ich weiß es nicht"]), dress=DRESS
)
@pytest.mark.parametrize("wanted", [NUMBER, BOOLEAN, CHOICE, LABEL, WORDS, STRING], ids=lambda wanted: f"{wanted.kind}-{wanted.form}")
def test_a_refusal_is_no_answer_in_any_dress(wanted: Wanted, refusal: str, dress: Dress) -> None:
    """Nothing around it makes a key of it."""
    assert key(wanted, dress.on(refusal)) is None
