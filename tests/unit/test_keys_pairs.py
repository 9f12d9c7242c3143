"""Requests with answers to them: the kind is told from the one, and by it the key is read from the other."""

# ruff: noqa: E501  # a request stands in one piece, as it was worded

from __future__ import annotations

import pytest

from fusiond.chat import Message, Request, TextPart
from fusiond.keys import key, wanted

PAIRS: list[tuple[str, str | None, list[tuple[str, str | None]]]] = [
    (
        "Janet’s ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her friends every day with four. She sells the remainder at the farmers' market daily for $2 per fresh duck egg. How much in dollars does she make every day at the farmers' market?",
        "number",
        [
            (
                "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 duck eggs a day.\nShe makes 9 * 2 = $<<9*2=18>>18 every day at the farmer’s market.\n#### 18",
                "18",
            ),
            ("She makes **$18** per day.", "18"),
            ("To find the amount:\n1. 16 - 3 - 4 = 9 eggs\n2. 9 × $2 = $18\n\nJanet makes $18 every day at the farmers' market.", "18"),
            ("9 eggs at $2 each is $18.", "18"),
        ],
    ),
    (
        "Answer the following question by thinking step-by-step. End your answer with 'So the answer is X'.\nQuestion: Could Hulk fit in a phone booth? (yes or no)",
        "boolean",
        [("Hulk is huge. So the answer is no.", "no"), ("So the answer is No", "no")],
    ),
    (
        "An astronomer observes that a planet rotates faster after a meteorite impact. Which is the most likely effect of this increase in rotation?\nA. Planetary density will decrease.\nB. Planetary years will become longer.\nC. Planetary days will become shorter.\nD. Planetary gravity will become stronger.",
        "choice",
        [
            ("C. Planetary days will become shorter.", "C"),
            ("Planetary days will become shorter.", "C"),
            ("The most likely effect is that planetary days will become shorter, so the answer is C.", "C"),
            ("When a planet rotates faster, days become shorter.\n\n**C. Planetary days will become shorter.**", "C"),
            ("**Answer: C**\n\nA is wrong because density is unaffected. B is wrong.", "C"),
        ],
    ),
    (
        "Given the text, extract the invoice number, total and date. Return JSON only.\n\nInvoice 17, 3 May, $20",
        "json",
        [('```json\n{"invoice": 17, "total": 20}\n```', '{"invoice":17,"total":20}')],
    ),
    ("Who was the man behind The Chipmunks?", "text", [("David Seville", "david seville"), ("**Ross Bagdasarian Sr.**", "ross bagdasarian sr")]),
    ("Which Lloyd Webber musical premiered in the US on 10th December 1993?", "text", [("Sunset Boulevard", "sunset boulevard")]),
    ("In which decade did Billboard magazine first publish an American hit chart?", "text", [("The 1930s.", "1930s")]),
    ("What was the Elephant Man's real name?", "text", []),
    ("Which country is Europe's largest silk producer?", "text", []),
    ("From which country did Angola achieve independence in 1975?", "text", [("Portugal.", "portugal")]),
    ("How many Rings of Power were there, in total?", "number", [("20", "20")]),
    (
        "Kevin kauft 3 Hefte zu je 1,50 € und einen Stift für 2 €. Wie viel bezahlt er insgesamt?",
        "number",
        [("Kevin bezahlt insgesamt 6,50 €.", "13/2"), ("3 × 1,50 € = 4,50 €. 4,50 € + 2 € = 6,50 €.\n\nEr bezahlt **6,50 €**.", "13/2")],
    ),
    (
        "Une boîte contient 12 œufs. Combien d'œufs y a-t-il dans 5 boîtes ?",
        "number",
        [("Il y a 60 œufs dans 5 boîtes.", None), ("Il y a **60** œufs.", "60"), ("12 × 5 = 60 œufs", "60")],
    ),
    ("小红有24颗糖,平均分给6个小朋友,每人分到几颗?", "number", [("每人分到4颗糖。", "4"), ("24 ÷ 6 = 4\n\n答:每人分到4颗。", "4")]),
    (
        "あるクラスに生徒が30人います。そのうち18人が女子です。男子は何人ですか?",
        "number",
        [("男子は12人です。", "12"), ("30 - 18 = 12\n\n**12人**", "12")],
    ),
    (
        "В классе 30 учеников, 18 из них девочки. Сколько мальчиков в классе?",
        "number",
        [("В классе 12 мальчиков.", "12"), ("30 − 18 = 12. Ответ: 12 мальчиков.", "12")],
    ),
    ("فصل فيه ٣٠ طالبا، ١٨ منهم بنات. كم عدد الأولاد؟", "number", [("عدد الأولاد هو ١٢.", "12")]),
    (
        "If the temperature is -5°C and rises by 12 degrees, what is the new temperature?",
        "number",
        [("7°C", "7"), ("The new temperature is 7°C.", "7"), ("-5 + 12 = 7", "7")],
    ),
    (
        "Is the Nile longer than the Amazon?",
        "boolean",
        [("Yes, the Nile (6,650 km) is generally considered longer.", "yes"), ("It's debated.", None)],
    ),
    (
        "What is the probability of rolling two sixes? Give a fraction.",
        "number",
        [("1/36", "1/36"), ("$\\frac{1}{36}$", "1/36"), ("The probability is 1/6 * 1/6 = 1/36.", "1/36")],
    ),
    ("Simplify $\\frac{2x+4}{2}$. Put the answer in \\boxed{}.", "text", [("\\boxed{x+2}", "x+2"), ("$$\\boxed{x + 2}$$", "x + 2")]),
    (
        "Classify the news article into World, Sports, Business, or Sci/Tech.\n\nStocks rose.",
        "label",
        [("Business", "Business"), ("The article is about Business.", "Business"), ("Sci/Tech", "Sci/Tech")],
    ),
    ("Write a short poem about yes and no.", None, []),
    (
        "I am planning a trip to Japan, and I would like thee to write an itinerary for my journey in a Shakespearean style. You are not allowed to use any commas in your response.",
        None,
        [],
    ),
    ("Write a resume for a fresh high school graduate. Include 12 placeholders such as [address].", None, []),
    (
        'Given the sentence "Two young boys with toy guns and horns." can you ask a question? Please ensure that your response is in English, and in all lowercase letters. No capital letters are allowed.',
        None,
        [],
    ),
    (
        "What is the difference between the 13 colonies and the other British colonies in North America? Your answer must contain exactly 6 bullet point in Markdown.",
        None,
        [],
    ),
    (
        'Is Pikachu one of the Avengers? Think out loud, then answer with one of the following options: "My answer is yes.", "My answer is no.", "My answer is maybe."',
        "label",
        [("Pikachu is a Pokemon.\n\nMy answer is no.", "My answer is no.")],
    ),
    ('Can you give me two different formal alternatives to "What\'s up?"?', None, []),
    ("What's a good way to write a function that returns the number of lines?", None, []),
    ("Make this shorter: How many people came?", None, []),
    ("Explain why the answer to 2+2 is 4.", None, []),
    ("Give the answer to life, the universe and everything", None, []),
    ("Compare A) Python and B) Go for web servers.", None, []),
    ("Which of these statements do you agree with?\nA) Cats rule\nB) Dogs rule", "choice", []),
    ("Classify the article into one of: World, Sports, Business, Sci/Tech.\n\nA probe landed.", "label", [("It is about Sci/Tech.", "Sci/Tech")]),
    (
        "Julia had $100 and bought 2 tubs of ice cream for $7 each. How much does each of her two children get of the rest?",
        "number",
        [("Each child gets $43.", "43")],
    ),
    ("Tom uses 2 sheets a day. How many sheets does he use every month of 30 days?", "number", [("He uses **60** sheets every month.", "60")]),
    ("The price of a laptop is $1000. If you get a 20% discount, how much do you have to pay?", "number", [("You pay $800.", "800")]),
]


@pytest.mark.parametrize(("question", "kind", "answers"), PAIRS)
def test_what_is_asked_is_read(question: str, kind: str | None, answers: list[tuple[str, str | None]]) -> None:
    """From the words of the request to the keys of the answers."""
    found = wanted(Request(id="r", model="m", messages=(Message(role="user", parts=(TextPart(text=question),)),)))
    assert (None if found is None else found.kind) == kind
    if found is not None:
        assert [key(found, answer) for answer, _ in answers] == [said for _, said in answers]
