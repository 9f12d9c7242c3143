"""What kind of key a request asks for, told from its words alone."""

from __future__ import annotations

import pytest

from fusiond.chat import Format, Message, Request, TextPart, Tool
from fusiond.keys import Wanted, is_chore, may_join, wanted

ABCD = "A) Mars\nB) Venus\nC) Jupiter\nD) Saturn"


def asking(question: str, *, system: str | None = None, tools: tuple[Tool, ...] = (), form: Format | None = None) -> Request:
    """A request of one question."""
    messages = [Message(role="system", parts=(TextPart(text=system),))] if system else []
    messages.append(Message(role="user", parts=(TextPart(text=question),)))
    return Request(id="r", model="m", messages=tuple(messages), tools=tools, format=form)


def kind(question: str, system: str | None = None) -> str | None:
    """The kind that is told from the question, or None."""
    found = wanted(asking(question, system=system))
    return None if found is None else found.kind


NUMBERS = [
    "How many legs do three spiders have?",
    "What is 17*23?",
    "What's 2 + 2?",
    "what is 15% of 80?",
    "Calculate -40 * ( ( -98 + -92 ) ).",
    "Compute 3^5 - 2.",
    "7 - 0 + 2 =",
    "Solve for x: 6*x + 95 = 407",
    "Find the greatest common divisor of 154 and 868.",
    "A train travels 60 miles in 1.5 hours. What is its average speed in mph?",
    "A shirt costs $20 and is reduced by 15%. How much does it cost now?",
    "What is the square root of 144? Reply with just the number.",
    "Estimate the population. Answer with a number only.",
    "Solve: if 3 workers need 6 days, how long do 9 workers need? Put your final answer in \\boxed{}.",
    "In what year did the Berlin Wall fall?",
    "8, 16, 32, 64, ?",
    "Wie viele Beine hat eine Spinne?",
    "Combien de jours y a-t-il dans une année bissextile ?",
    "¿Cuántos lados tiene un hexágono?",
    "Сколько будет 17 умножить на 3?",
    "一只蜘蛛有多少条腿?",
    "りんごは全部でいくつありますか。",
]
BOOLEANS = [
    "Is 7 prime?",
    "Is the Earth larger than the Moon?",
    "Tell me whether 2048 is a leap year. Answer with Yes or No.",
    "Answer yes or no: can penguins fly?",
    "True or false: water boils at 90 degrees at sea level.",
    "Consider:\n1. All ants are animals\n2. All animals are lawyers\n\nDoes it follow that:\nNo ants are lawyers?\n(Answer Yes or No)",
    "Return True if you can finish all courses, or False otherwise.",
    "Ist 7 eine Primzahl? Antworte mit Ja oder Nein.",
    "Paris est-elle la capitale de la France ? Réponds par oui ou non.",
    "¿Es 7 un número primo? Responde sí o no.",
    "7 — простое число? Ответь да или нет.",
    "7是质数吗?",
    "7は素数ですか?",
]
CHOICES = [
    f"Which planet is the largest?\n{ABCD}",
    "Which planet is the largest? A) Mars B) Venus C) Jupiter D) Saturn",
    "Which planet is the largest? (A) Mars (B) Venus (C) Jupiter (D) Saturn",
    "Which planet is the largest?\n(A) Mars\n(B) Venus\n(C) Jupiter\n(D) Saturn",
    "Which planet is the largest?\nA. Mars\nB. Venus\nC. Jupiter\nD. Saturn\nAnswer:",
    "Which planet is the largest?\nA: Mars\nB: Venus\nC: Jupiter\nD: Saturn",
    "Which planet is the largest? A. Mars B. Venus C. Jupiter D. Saturn",
    "Which planet is the largest?\na) Mars\nb) Venus\nc) Jupiter\nd) Saturn",
    "Which planet is the largest?\n- **A)** Mars\n- **B)** Venus\n- **C)** Jupiter\n- **D)** Saturn",
    "Which planet is the largest?\n[A] Mars\n[B] Venus\n[C] Jupiter\n[D] Saturn",
    "Which planet is the largest?\nA - Mars\nB - Venus\nC - Jupiter\nD - Saturn",
    f"Welcher Planet ist der größte? Antworte nur mit dem Buchstaben.\n{ABCD}",
    "最大的行星是哪个?\nA. 火星\nB. 金星\nC. 木星\nD. 土星",
]
LABELS = [
    ("Classify the sentiment of this review as positive, negative or neutral: I loved it.", ("positive", "negative", "neutral")),
    ("Classify this mail as spam or ham.\n\nWin money now!", ("spam", "ham")),
    ('Respond with:\n- "on" if it will turn on\n- "off" if it stays off\n- "undetermined" if it cannot be known', ("on", "off", "undetermined")),
    ('Your output should be one of the following: "Peng", "Chi", or "Pass" (without quotes).', ("Peng", "Chi", "Pass")),
    (
        "What is the topic of this headline? Choose one of: sports, politics, business, technology.\n\nStocks fell today",
        ("sports", "politics", "business", "technology"),
    ),
    ("Labels: bug, feature, question\n\nThe app crashes when I tap save.", ("bug", "feature", "question")),
    ("Which of these is a mammal: whale, shark, or tuna?", ("whale", "shark", "tuna")),
    ("What is the sentiment?\nOptions:\n- positive\n- negative\n\nI love it", ("positive", "negative")),
    ("Does the premise entail the hypothesis? Answer entailment, contradiction, or neutral.", ("entailment", "contradiction", "neutral")),
    ("Is a whale a fish or a mammal?", ("fish", "mammal")),
]
TEXTS = [
    "What is the capital of France?",
    "What is the capital of France? Answer in one word.",
    "What is the capital of France? Reply with just the name.",
    "Who wrote Hamlet?",
    "Where was Marie Curie born?",
    "Which element has the symbol Fe?",
    "What is the longest river in Africa?",
    "What relation is Harry to Jayden? Answer with a single word.",
    "Was ist die Hauptstadt von Frankreich?",
    "Quelle est la capitale de la France ?",
    "法国的首都是哪里?",
]
KEYLESS = [
    "Write a poem with three stanzas.",
    "Write a 500 word essay on how many people lived in Rome.",
    "Please write a Python function that returns the number of vowels in a string.",
    "Explain how photosynthesis works.",
    "Translate to German: How many apples do you have?",
    "Hello!",
    "Hi, how are you?",
    "Can you help me plan a trip to Rome?",
    "What do you think about remote work?",
    "What is the difference between TCP and UDP?",
    "Summarize the following text.\n\nThe year was 1984. How many of us remember it?",
    "Tell me a joke about numbers.",
    "Give me ideas for a birthday present.",
    "Fix this code:\n```python\ndef f(x): retrun x\n```",
    "Why is the sky blue?",
    "How do I sort a list in Python?",
    "Generate a regex that matches dates.",
    "Write a haiku about A) the sea or B) the wind.",
    "Could you review my cover letter?",
    "Schreibe ein Gedicht über den Herbst.",
    "Écris un poème sur la mer.",
    "写一首关于秋天的诗。",
    "Should I learn Rust or Go?",
    "Thanks, that was helpful.",
    "List the planets of the solar system.",
    "What are the advantages of solar power?",
    "Can you explain recursion?",
    "Describe the water cycle in detail.",
    "Summarize the following text.\n\n'Is it true or false?' he asked. Answer yes or no!",
    "Translate into French:\n\nHow many people live here? Answer yes or no.",
    "What is the best programming language?",
    "How many calories should I eat per day?",
    "What will happen if I return nothing from a function?",
    'def is_even(n):\n    """Return True if n is even."""\n',
]
DOCUMENTS = [
    "Return a JSON object with the name and age of the person in this text: Ann is 4.",
    'Extract the fields. Answer in JSON like {"name": "...", "city": "..."}.\n\nAnn lives in Rome.',
    "Respond only with valid JSON.\n\nWho is mentioned in: Bob met Eve?",
]


@pytest.mark.parametrize("question", NUMBERS)
def test_a_question_for_a_number_is_told(question: str) -> None:
    """How many, how much, arithmetic and instructions for a number ask for a number."""
    assert kind(question) == "number"


@pytest.mark.parametrize("question", BOOLEANS)
def test_a_question_for_yes_or_no_is_told(question: str) -> None:
    """Instructions for yes or no and plain yes-no questions ask for a boolean of two values."""
    found = wanted(asking(question))
    assert found is not None
    assert (found.kind, found.options, found.count) == ("boolean", ("yes", "no"), 2)


@pytest.mark.parametrize("question", CHOICES)
def test_options_in_any_common_layout_are_a_choice(question: str) -> None:
    """Letters in order from A are options, whatever stands around them, and their texts are known."""
    found = wanted(asking(question))
    assert found is not None
    assert (found.kind, found.options, found.count) == ("choice", ("A", "B", "C", "D"), 4)
    assert found.texts["C"] in ("Jupiter", "木星")


def test_ten_options_are_told() -> None:
    """Benchmarks with options up to J are choices of ten."""
    options = "\n".join(f"{letter}. value {number}" for number, letter in enumerate("ABCDEFGHIJ"))
    found = wanted(asking(f"Question: which?\n\nOptions:\n{options}\n"))
    assert found is not None
    assert (found.options, found.count) == (tuple("ABCDEFGHIJ"), 10)


def test_letters_without_texts_are_a_choice() -> None:
    """Options shown elsewhere still have letters that the instruction names."""
    found = wanted(asking("Look at the four diagrams. Answer with the letter only: A, B, C or D."))
    assert found is not None
    assert (found.options, dict(found.texts)) == (tuple("ABCD"), {})


@pytest.mark.parametrize(("question", "labels"), LABELS)
def test_a_named_set_of_labels_is_told(question: str, labels: tuple[str, ...]) -> None:
    """Labels that a cue announces are the offered values."""
    found = wanted(asking(question))
    assert found is not None
    assert (found.kind, found.options) == ("label", labels)


@pytest.mark.parametrize("question", TEXTS)
def test_a_short_fact_is_text(question: str) -> None:
    """A bare question for a name or a place, or an instruction for one word, asks for a short text."""
    found = wanted(asking(question))
    assert found is not None
    assert (found.kind, found.count, may_join(found)) == ("text", 0, True)


@pytest.mark.parametrize("question", KEYLESS)
def test_prose_code_and_chat_are_keyless(question: str) -> None:
    """Where no clear answer can be told from the request there is no key."""
    assert wanted(asking(question)) is None


@pytest.mark.parametrize("question", DOCUMENTS)
def test_json_by_instruction_or_example_is_told(question: str) -> None:
    """An instruction to answer in JSON asks for a document."""
    assert kind(question) == "json"


@pytest.mark.parametrize("schema", [{"type": "boolean"}, {"enum": ["a", "b"]}, {"type": "number"}, {"type": "object"}, None])
def test_a_format_is_always_a_document(schema: dict[str, object] | None) -> None:
    """A schema asks for JSON, also where it allows just two values."""
    found = wanted(asking("Is 7 prime?", form=Format(kind="json_schema" if schema else "json_object", schema=schema)))
    assert found is not None
    assert found.kind == "json"


def test_a_json_form_with_reasons_wants_the_answer_field() -> None:
    """A form of reasons and an answer asks for what the answer field says, since reasons never agree."""
    form = '\n\nAnswer in JSON:\n{"reasoning": "___", "answer": "___"}'
    assert kind("How many legs has a spider?" + form) == "number"
    assert kind("Which is largest?\n" + ABCD + form) == "choice"


def test_tools_leave_no_key() -> None:
    """A request with tools is keyless, whatever it asks and whatever is configured."""
    request = asking("What is 2+2?", tools=(Tool(name="calculator"),))
    assert wanted(request) is None
    assert wanted(request, "number") is None


def test_a_configured_kind_overrules_the_guess() -> None:
    """The fusion's kind stands also where the request sounds like another, and keeps what the request offers."""
    assert wanted(asking("Write a poem."), "number") == Wanted(kind="number")
    found = wanted(asking("Classify as good or bad: meh"), "label")
    assert found is not None
    assert found.options == ("good", "bad")


def test_system_messages_say_how_to_answer() -> None:
    """An instruction about the answer may stand in a system message."""
    assert kind("Penguins can fly.", system="Answer only with true or false.") == "boolean"
    assert kind("The food was great", system="Classify each message as positive, negative or neutral.") == "label"


def test_a_condition_is_no_wish_for_json() -> None:
    """A system message that allows for JSON in some case asks for none now."""
    assert kind("Hi", system="You are an assistant. If the user asks for structured data, answer with JSON.") is None
    assert kind("Ann is 4.", system="Output valid JSON only, with the keys name and age.") == "json"


def test_only_the_last_question_counts() -> None:
    """What was asked earlier in a conversation says nothing about the present question."""
    turns = [("user", "How many legs has a spider?"), ("assistant", "8"), ("user", "Write a poem about it.")]
    messages = tuple(Message(role=role, parts=(TextPart(text=text),)) for role, text in turns)  # type: ignore[arg-type]
    assert wanted(Request(id="r", model="m", messages=messages)) is None


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_question_is_keyless(text: str) -> None:
    """No words, no key."""
    assert wanted(asking(text)) is None


def test_texts_of_a_marked_place_are_compared_sign_by_sign() -> None:
    """Where a place is made for the answer its signs count, not only its words; values of programs keep their case."""
    marked = wanted(asking("Decrypt this: IWGSV", system="Give the answer as <answer>answer here</answer>"))
    assert marked is not None
    assert (marked.kind, marked.form, may_join(marked)) == ("text", "string", False)
    literal = wanted(asking("[PYTHON]\ndef f(a):\n    return a\nassert f('Ab') == ??\n[/PYTHON]\nComplete the assertion."))
    assert literal is not None
    assert (literal.kind, literal.form) == ("text", "literal")


def test_drawings_with_letters_offer_nothing() -> None:
    """Wires named A to C are no options."""
    assert kind("A: ─────┐\nB: ───┐ │\nC: ─┐ │ │\n\nWhat does this circuit compute?") != "choice"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Does this function double its argument? Answer yes or no.\n\ndef f(x):\n    return x * 2\n", "boolean"),
        ("How many of the tests does this pass? Answer with the number only.\n```python\ndef f(x):\n    return x\nassert f(0) == 0\n```", "number"),
        ("Classify the snippet as one of: bug, feature, docs. Answer with the label only.\n```python\ndef f(x):\n    return x\n```", "label"),
        ('def f(x):\n    """Answer yes or no: is x even? Return the number of steps."""\n', None),
        ("Fix this function. Answer with the number 4 for 2.\n\ndef f(x):\n    return x\n", None),
    ],
)
def test_a_question_about_code_is_one(text: str, kind: str | None) -> None:
    """What its words ask for, not what the code says; code that is to be written has no key."""
    found = wanted(asking(text))
    assert (found and found.kind) == kind


ASSISTANT = "You are an agent, a highly skilled engineer. Answer yes or no only when asked. Options: A) plan B) act. Answer with the letter.\n" * 40


@pytest.mark.parametrize(
    ("system", "text", "kind"),
    [
        ("If the user asks a yes/no question, answer yes or no.", "Tell me the history of Rome in detail.", None),
        ("When given options A) B) C) D), answer with the letter.", "Tell me the history of Rome in detail.", None),
        (ASSISTANT, "Please explain how the parser in this project is organised and why.", None),
        ("When given options, answer with the letter.", ABCD.replace("A)", "Which planet is the largest?\nA)"), "choice"),
        ("If the user asks a yes/no question, answer yes or no.", "Is 7 prime?", "boolean"),
        ("", "Passage: Rome is in Italy, they say. " * 40 + "\nQuestion: is rome in italy\nAnswer:", "boolean"),
        ("", "Passage: Rome is in Italy, they say.\nQuestion: is rome in italy or in greece\nAnswer:", None),
        ("Answer with the letter only.", ABCD.replace("A)", "Which planet is the largest?\nA)"), "choice"),
        ("Tool use is formatted using XML-style tags: <execute_command>...</execute_command>.", "Is the build green? Answer yes or no.", None),
    ],
)
def test_what_instructions_say_of_some_questions(system: str, text: str, kind: str | None) -> None:
    """Is nothing of the others; and long ones describe an assistant, not an answer."""
    found = wanted(asking(text, system=system))
    assert (found and found.kind) == kind


@pytest.mark.parametrize(
    ("system", "text"),
    [
        (
            None,
            "Given the following... please reply with a title for the chat that is 3-4 words in length.\n\nUser: is 7 prime?",
        ),
        (
            "You are an expert in crafting pithy titles for chatbot conversations.",
            "Please write a brief title for the following request:\n\nIs 7 prime?",
        ),
        (None, "Reflect the speaker's likely facial expression through a fitting emoji.\n\nMessage: ```I am 7 years old```"),
    ],
)
def test_further_chores(system: str | None, text: str) -> None:
    """As clients word them."""
    assert is_chore(asking(text, system=system))
    assert wanted(asking(text, system=system)) is None
