"""What an answer says: one canonical key for each way to say the same, and none where it is not clear."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.keys import Wanted, key

NUMBER = Wanted(kind="number")
BOOLEAN = Wanted(kind="boolean", options=("yes", "no"))
PLANETS = Wanted(kind="choice", options=tuple("ABCD"), texts={"A": "Mars", "B": "Venus", "C": "Jupiter", "D": "Saturn"})
LABEL = Wanted(kind="label", options=("positive", "negative", "neutral", "very positive"))
WORDS = Wanted(kind="text")
STRING = Wanted(kind="text", form="string")
LITERAL = Wanted(kind="text", form="literal")
JSON = Wanted(kind="json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42", "42"),
        ("  42.  ", "42"),
        ("**42**", "42"),
        ("The answer is 42.", "42"),
        ("The answer is: **42**", "42"),
        ("Answer: 42 apples", "42"),
        ("The final answer is $\\boxed{42}$.", "42"),
        ("So we get \\[\\boxed{\\frac{3}{4}}\\]", "3/4"),
        ("\\boxed{-\\dfrac{1}{2}}", "-1/2"),
        ("<answer>1,234,567</answer>", "1234567"),
        ("1,234", "1234"),
        ("131,250", "131250"),
        ("1 234 567", "1234567"),
        ("1'234'567", "1234567"),
        ("12,34,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1.234,56", "30864/25"),
        ("3,5", "7/2"),
        ("3.50", "7/2"),
        ("0.1", "1/10"),
        (".5", "1/2"),
        ("1/3", "1/3"),
        ("2/6", "1/3"),
        ("3 1/2", "7/2"),
        ("1½", "3/2"),
        ("½", "1/2"),
        ("-7", "-7"),
        ("\u22127", "-7"),
        ("$1,200.50", "2401/2"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("€187", "187"),
        ("50 USD", "50"),
        ("25%", "25"),
        ("25 percent", "25"),
        ("90°", "90"),
        ("9.8 m/s^2", "49/5"),
        ("9.8 m/s²", "49/5"),
        ("1.5e3", "1500"),
        ("3 × 10^8 m/s", "300000000"),
        ("3 \\times 10^{8}", "300000000"),
        ("2.5 million", "2500000"),
        ("x = 13", "13"),
        ("54 - 33 = 21", "21"),
        ("approximately 22.22", "1111/50"),
        ("twelve", "12"),
        ("Twenty-one", "21"),
        ("The answer is 9 rows of flowers.", "9"),
        ("The answer is 40, meaning he can add 40 fewer songs.", "40"),
        ("First 3 + 4 = 7.\n\nTherefore, she needs 7 apples in total.", "7"),
        ("He has 3 bags of 4.\nSo the total is 3 * 4 = 12 apples.", "12"),
        ("After 5 days she has 40 dollars.", "40"),
        ("The total cost is **$27,000**.", "27000"),
        ('{"reasoning": "3+4=7", "answer": "7"}', "7"),
        ('```json\n{"reasoning": "x", "answer": 7.0}\n```', "7"),
        ("Die Antwort ist 3,5.", "7/2"),
        ("La réponse est 12.", "12"),
        ("La respuesta es 12.", "12"),
        ("Ответ: 12", "12"),
        ("答案是12。", "12"),
        ("答えは12です。", "12"),
        ("<think>maybe 5? or 6</think>\n7", "7"),
        ("it is 5</think>The answer is 7", "7"),
        ("The answer is 5. Wait, that is wrong.\nThe answer is 6.", "6"),
        ("#### 18", "18"),
        ("The probability is 1/6.", "1/6"),
        ("It sank in 1912.", "1912"),
        ("391\n\nHere is how: 17*20=340, 17*3=51.", "391"),
        ("17*23 is 391.", "391"),
        ("2^10 = 1024", "1024"),
        ("一共有12个苹果。", "12"),
        ("Итого: 1 250,50 руб.", "2501/2"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_a_number_is_read_exactly(text: str, expected: str) -> None:
    """Thousands, fractions, units, currency, LaTeX, signs and languages all lead to one exact fraction."""
    assert key(NUMBER, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I don't know.",
        "I cannot answer that.",
        "I'm sorry, but I can't help with 3 of these.",
        "Cannot be determined",
        "Not enough information",
        "4 blue and 6 red",
        "4 blue, 6 red",
        "between 3 and 4",
        "3 or 4",
        "3-4",
        "1/0",
        "5:30 pm",
        "There are 3 apples and 4 pears.",
        "<think>it is 7",
        "NaN",
        "infinity",
        "It depends",
        "the number of apples",
        '{"answer": {"blue": 4, "red": 6}}',
        "1e999999999",
        "10^3",
        "The answer is 5 hours and 20 minutes.",
        "\\boxed{(1,2)}",
        "\\boxed{3\\sqrt{2}}",
    ],
)
def test_an_unclear_number_has_no_key(text: str) -> None:
    """Several numbers, refusals, unfinished thoughts and numbers out of range do not vote."""
    assert key(NUMBER, text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C", "C"),
        ("c", "C"),
        ("(C)", "C"),
        ("C.", "C"),
        ("**C**", "C"),
        ("C) Jupiter", "C"),
        ("**C) Jupiter**", "C"),
        ("Jupiter", "C"),
        ("The answer is (C).", "C"),
        ("The answer is C because it is large.", "C"),
        ("The correct answer is **C) Jupiter**.", "C"),
        ("Answer: C", "C"),
        ("**Answer:** C", "C"),
        ("Answer: $C$", "C"),
        ("The final answer is $\\boxed{C}$.", "C"),
        ("\\boxed{\\text{(C)}}", "C"),
        ("\\boxed{\\text{Jupiter}}", "C"),
        ("<answer>C</answer>", "C"),
        ('{"reasoning": "big", "answer": "C"}', "C"),
        ("Option C is correct.", "C"),
        ("The correct option is C", "C"),
        ("A is small and B is hot.\n\nC", "C"),
        ("Mars is small (A). Venus is hot.\nThe answer is (C).", "C"),
        ("The answer is Jupiter.", "C"),
        ("The answer is not listed, but the closest option is (C).", "C"),
        ("The answer is (B). On second thought, the answer is (C).", "C"),
        ("Die richtige Antwort ist C.", "C"),
        ("La réponse est C", "C"),
        ("La respuesta correcta es C", "C"),
        ("Ответ: C", "C"),
        ("C\n\nJupiter is the largest planet.", "C"),
        ("Therefore, C is the correct answer.", "C"),
        ("It's Jupiter.", "C"),
        ("c) jupiter", "C"),
        ("答案选C", "C"),
        ("正解はCです", "C"),
        ("答案是C", "C"),
        ("答案：C", "C"),
        ("<think>A? B?</think>C", "C"),
    ],
)
def test_a_choice_is_read_as_its_letter(text: str, expected: str) -> None:
    """A letter in any dress, or the text of its option, is the letter."""
    assert key(PLANETS, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "E",
        "The answer is (F).",
        "A or C",
        "The answer is A and C.",
        "The answer is (A), (B) or (D).",
        "None of the above",
        "I cannot answer.",
        "A planet is large.",
        "I think so",
        "Pluto",
    ],
)
def test_an_unclear_choice_has_no_key(text: str) -> None:
    """Letters that were not offered, several letters and words that look like letters do not vote."""
    assert key(PLANETS, text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes", "yes"),
        ("yes.", "yes"),
        ("**No**", "no"),
        ("True", "yes"),
        ("FALSE", "no"),
        ("Yes, 7 is prime because it has no divisors.", "yes"),
        ("No, it is not.", "no"),
        ("The answer is yes.", "yes"),
        ("Answer: No", "no"),
        ("\\boxed{\\text{Yes}}", "yes"),
        ("<answer>False</answer>", "no"),
        ("7 has two divisors.\nTherefore, the statement is true.", "yes"),
        ("7 has two divisors.\nTherefore, the statement is not true.", "no"),
        ("Let me see.\n\nNo", "no"),
        ("Ja", "yes"),
        ("Nein, das ist falsch.", "no"),
        ("Oui.", "yes"),
        ("Non", "no"),
        ("Sí", "yes"),
        ("Да", "yes"),
        ("Нет.", "no"),
        ("是", "yes"),
        ("是的，7是质数。", "yes"),
        ("不是", "no"),
        ("はい", "yes"),
        ("いいえ。", "no"),
        ('{"answer": true}', "yes"),
        ("<think>no</think>yes", "yes"),
    ],
)
def test_a_boolean_is_yes_or_no(text: str, expected: str) -> None:
    """Yes and no, true and false, in several languages."""
    assert key(BOOLEAN, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Maybe",
        "Yes and no",
        "Yes or no",
        "It depends.",
        "I don't know",
        "No man is an island, they say, and more",
        "Yes at first sight.\n\nNo",
        "There is no way to tell.",
    ],
)
def test_an_unclear_boolean_has_no_key(text: str) -> None:
    """Both at once, a phrase that opens with no, and a reply that ends otherwise than it began do not vote."""
    assert key(BOOLEAN, text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("positive", "positive"),
        ("Positive.", "positive"),
        ("**NEGATIVE**", "negative"),
        ("The sentiment is neutral.", "neutral"),
        ("very positive", "very positive"),
        ("Sentiment: very positive", "very positive"),
        ("<answer>negative</answer>", "negative"),
        ('"neutral"', "neutral"),
        ("The answer is positive", "positive"),
    ],
)
def test_a_label_is_read_as_it_was_offered(text: str, expected: str) -> None:
    """The label that a reply is or names; a longer label hides the shorter one in it."""
    assert key(LABEL, text) == expected


@pytest.mark.parametrize("text", ["", "mixed", "positive or negative", "not positive", "It could be positive, negative or neutral."])
def test_an_unclear_label_has_no_key(text: str) -> None:
    """Several labels, denied labels and labels that were not offered do not vote."""
    assert key(LABEL, text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris", "paris"),
        ("**Paris**.", "paris"),
        ("The answer is Paris.", "paris"),
        ("It is Paris.", "paris"),
        ("The Eiffel Tower", "eiffel tower"),
        ("Ｐａｒｉｓ", "paris"),
        ("U.S.", "us"),
        ("C++", "c++"),
        ("father-in-law", "father in law"),
        ("1,000", "1000"),
        ("東京", "東京"),
        ("हिन्दी", "हिन्दी"),
        ("Москва", "москва"),
        ("<answer>Paris</answer>", "paris"),
        ("The capital of France is **Paris**, a city on the Seine with many museums and a long history.", "paris"),
        ("<think>Lyon?</think> Paris", "paris"),
    ],
)
def test_a_short_text_is_read_by_its_words(text: str, expected: str) -> None:
    """Case, width, articles, punctuation and markdown do not count; marks of a script and signs of a name do."""
    assert key(WORDS, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I don't know.",
        "Unknown",
        "I'm not sure",
        "no idea",
        " ".join(["word"] * 13),
        "A first paragraph about many things.\n\nAnd a second one that goes on and on without any end to it at all.",
    ],
)
def test_long_or_hedged_text_has_no_key(text: str) -> None:
    """Prose never votes."""
    assert key(WORDS, text) is None


def test_texts_that_mean_different_things_stay_apart() -> None:
    """What tells two answers apart is never normalised away."""
    for wanted, one, other in [
        (WORDS, "C", "C++"),
        (WORDS, "C#", "C"),
        (WORDS, "-5 degrees", "5 degrees"),
        (STRING, "<answer>#A A# B#</answer>", "<answer>A# #A B#</answer>"),
        (STRING, "\\boxed{[0,1)}", "\\boxed{(0,1]}"),
        (STRING, "<answer>1 2\n3 4</answer>", "<answer>12\n34</answer>"),
        (LITERAL, '{"answer": "Ab"}', '{"answer": "ab"}'),
        (LITERAL, '{"answer": "(1, 2)"}', '{"answer": "[1, 2]"}'),
        (NUMBER, "0.1", "0.10000000000000001"),
        (NUMBER, "9007199254740993", "9007199254740992"),
        (JSON, '{"a": 1}', '{"a": "1"}'),
        (JSON, '{"a": true}', '{"a": 1}'),
        (JSON, "[1, 2]", "[2, 1]"),
        (JSON, "0.1", "0.10000000000000001"),
    ]:
        keys = key(wanted, one), key(wanted, other)
        assert None not in keys
        assert keys[0] != keys[1], (one, other, keys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<answer>1 2\n3 4</answer>", "```\n1 2\n3 4\n```"),
        ("<answer>['-63.7', '61.95']</answer>", "-63.7, 61.95"),
        ("<answer>2 × 2 × 3</answer>", "\\boxed{2 \\times 2 \\times 3}".replace(" ", " ")),
        ("\\boxed{3 \\sqrt{2}}", "The answer is $3\\sqrt{2}$."),
        ("$\\boxed{\\dfrac{\\pi}{4}}$", "<answer>\\frac{\\pi}{4}</answer>"),
        ("<answer>The, Fairer</answer>", "<answer>the,fairer</answer>"),
    ],
)
def test_texts_sign_by_sign_allow_for_blanks_and_lists(one: str, other: str) -> None:
    """Blanks at commas, list brackets, fences and case do not tell texts apart."""
    assert (key(STRING, one) or "").replace(" ", "") == (key(STRING, other) or "").replace(" ", "") != ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"reasoning": "...", "answer": "\'ja\'"}', "'ja'"),
        ('{"reasoning": "...", "answer": "ja"}', "'ja'"),
        ('{"answer": "{1: 0,2:1}"}', "{1: 0, 2: 1}"),
        ('{"answer": ["a", 1]}', "['a', 1]"),
        ('{"answer": true}', "True"),
        ('{"answer": ""}', "''"),
        ("[1,  2]", "[1, 2]"),
        ("```python\n[1, 2]\n```", "[1, 2]"),
        ("1024", "1024"),
    ],
)
def test_a_value_of_a_program_is_read_as_one(text: str, expected: str) -> None:
    """Quotes around a value and blanks within it do not count."""
    assert key(LITERAL, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"b": 1, "a": [1.0, 2e2, null, true]}', '{"a":[1,200,null,true],"b":1}'),
        ('```json\n{"a": 1}\n```', '{"a":1}'),
        ('```\n{"a": 1}\n```', '{"a":1}'),
        ('<think>hm</think>{"a": 1}', '{"a":1}'),
        ('{"e\u0301": "e\u0301"}', '{"\u00e9":"\u00e9"}'),
        ("-0.0", "0"),
        ("1.50", "15e-1"),
        ("1e400", "1e400"),
        ('"text"', '"text"'),
        ("[]", "[]"),
    ],
)
def test_a_document_has_one_canonical_form(text: str, expected: str) -> None:
    """Order of names, blanks, composition and the spelling of numbers do not count."""
    assert key(JSON, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"a": 1',
        '{"a": 1}}',
        '{"a": 1} and more',
        'Here it is: {"a": 1}',
        "{'a': 1}",
        '{"a": NaN}',
        "Infinity",
        "-Infinity",
        '{"a": 1, "a": 2}',
        '{"a": 1,}',
        '{"a": 1e99999999999}',
        "[" * 100_000,
        '"\\ud800"',
    ],
)
def test_what_is_no_document_has_no_key(text: str) -> None:
    """Truncated, trailing, doubled, lenient and endless documents never parse."""
    assert key(JSON, text) is None


DRESS = st.sampled_from(
    [
        "{}",
        "**{}**",
        " {} ",
        "{}.",
        "`{}`",
        "{}\n",
        "\n\n{}",
        "The answer is {}.",
        "The answer is: **{}**",
        "**Answer:** {}",
        "**Answer: {}**",
        "<answer>{}</answer>",
        "<answer> {}\n</answer>",
        "\\boxed{{{}}}",
        "$\\boxed{{{}}}$",
        "<think>Is it 7, or A, or no?</think>\n{}",
        "## Answer\n\n{}",
        "Let me think step by step.\n\nThe final answer is {}.",
        "Answer: {}\n\nI hope this helps!",
        "Final answer: {}",
        '{{"reasoning": "none", "answer": "{}"}}',
    ]
)


@given(value=st.fractions(max_denominator=10_000), dress=DRESS)
def test_dress_never_changes_a_number(value: object, dress: str) -> None:
    """Markdown, tags, boxes, blanks and prose around a number leave its key alone."""
    assert key(NUMBER, dress.format(value)) == str(value)


@given(value=st.integers(min_value=-(10**15), max_value=10**15), dress=DRESS)
def test_thousands_never_change_a_number(value: int, dress: str) -> None:
    """Separators between thousands leave the key alone."""
    assert key(NUMBER, dress.format(f"{value:,}")) == str(value)


@given(letter=st.sampled_from("ABCD"), dress=DRESS, inner=st.sampled_from(["{}", "({})", "{})"]))
def test_dress_never_changes_a_choice(letter: str, dress: str, inner: str) -> None:
    """Markdown, tags, boxes, brackets and prose around a letter leave its key alone."""
    assert key(PLANETS, dress.format(inner.format(letter))) == letter


@given(word=st.sampled_from(["yes", "Yes", "YES", "no", "No", "true", "False"]), dress=DRESS)
def test_dress_never_changes_a_boolean(word: str, dress: str) -> None:
    """Markdown, tags, boxes, case and prose around yes and no leave the key alone."""
    assert key(BOOLEAN, dress.format(word)) == ("yes" if word.lower() in ("yes", "true") else "no")


@given(label=st.sampled_from(["positive", "Negative", "NEUTRAL", "very positive"]), dress=DRESS)
def test_dress_never_changes_a_label(label: str, dress: str) -> None:
    """Markdown, tags, boxes, case and prose around a label leave its key alone."""
    assert key(LABEL, dress.format(label)) == label.lower()


@given(text=st.sampled_from(["Paris", "the Eiffel Tower", "Москва", "New York", "東京"]), dress=DRESS)
def test_dress_never_changes_a_short_text(text: str, dress: str) -> None:
    """Markdown, tags, boxes and prose around a short text leave its key alone."""
    assert key(WORDS, dress.format(text)) == key(WORDS, text)


@given(text=st.text(max_size=300), wanted=st.sampled_from([NUMBER, BOOLEAN, PLANETS, LABEL, WORDS, STRING, LITERAL, JSON]))
def test_any_text_can_be_read(text: str, wanted: Wanted) -> None:
    """Nothing that a model can say is an error, and equal texts have equal keys."""
    assert key(wanted, text) == key(wanted, text)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
)
def test_a_documents_layout_never_changes_its_key(value: object) -> None:
    """Indentation, escapes and the order of names leave a document's key alone."""
    plain, laid_out = json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    assert key(JSON, plain) == key(JSON, f"```json\n{laid_out}\n```")
