"""Requests as benchmarks, editors and people word them, each with the kind of key that it asks for; None: no key."""

# ruff: noqa: E501, ISC004  # a request stands in one piece, as it was worded

from __future__ import annotations

import pytest

from fusiond.chat import Message, Request, TextPart
from fusiond.keys import Wanted, wanted, wants_code

OPTIONS = "A) 3\nB) 4\nC) 5\nD) 6"

NUMBER = [
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did Natalia sell altogether?",
    "Q: A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total does it take?\nA: Let's think step by step.",
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: $ANSWER (without quotes) where "
    "$ANSWER is the answer to the problem.\n\nIf 3x + 7 = 22, what is the value of x?",
    "James runs 3 sprints 3 times a week, 60 meters each. How many total meters does he run a week? End your reply with '#### <number>'.",
    "What is the remainder when 2^100 is divided by 7? Put your final answer within \\boxed{}.",
    "How many prime numbers are there between 1 and 50? Final answer as <answer>number</answer>.",
    "What is 3/4 of 64?",
    "What's the sum of the first 10 odd numbers?",
    "Round 3.14159 to two decimal places.",
    "Convert 5 miles to kilometers. Give only the number.",
    "How many minutes are in a week?",
    "At what temperature does water boil in Kelvin? Answer with a number.",
    "Lisa is 12 and her brother is twice her age. How old will her brother be in 5 years?",
    "Count the number of occurrences of the letter 'r' in \"strawberry\".",
    "How many r's are in strawberry?",
    "Find the next number in the sequence: 2, 6, 12, 20, 30, ?",
    "What percentage of 250 is 40?",
    "On a scale of 1 to 10, rate the similarity of these sentences. Output only the number.\n\nS1: A cat sat.\nS2: A dog sat.",
    "Rate the helpfulness of the answer from 1 to 5. Respond with a single number.\n\nAnswer: Turn it off and on again.",
    "You are a strict grader. Reply with only an integer between 0 and 100.\n\nEssay: My summer was long.",
    "What year did World War II end?",
    "When you multiply 12 by 12, what number do you get?",
    "A rectangle has sides 4 cm and 7 cm. What is its area?",
    "Ein Zug fährt 120 km in 1,5 Stunden. Wie hoch ist seine Durchschnittsgeschwindigkeit? Antworte nur mit der Zahl.",
    "Anna hat 12 Äpfel und gibt 5 davon ab. Wie viele Äpfel hat sie noch?",
    "Wieviel ist 17 mal 23?",
    "Was ergibt 144 geteilt durch 12?",
    "Marie a 15 bonbons et en donne 4. Combien de bonbons lui reste-t-il ?",
    "Quel est le résultat de 25 × 16 ? Réponds uniquement avec le nombre.",
    "Si un tren recorre 240 km en 3 horas, ¿cuál es su velocidad media en km/h?",
    "¿Cuánto es 15 por 12?",
    "Juan tiene 20 euros y gasta 7. ¿Cuánto dinero le queda?",
    "小明有15个苹果,吃了3个,又买了8个。他现在有多少个苹果?",
    "计算 125 × 8 的结果。",
    "请问 3 的平方加 4 的平方等于多少?",
    "太郎は鉛筆を12本持っています。3本あげると何本残りますか?",
    "25かける4はいくつですか。数字だけで答えてください。",
    "У Пети было 14 яблок, он съел 5. Сколько яблок осталось?",
    "Чему равно 18 * 7?",
    "Quanti giorni ci sono in un anno bisestile?",
    "Quantos lados tem um pentágono?",
    "كم عدد أيام الأسبوع؟",
    "12 + 30 =",
    "(3+4)*5 = ?",
    "If x + 3 = 10, x = ?",
    "Tom has 3 times as many marbles as Ann. Together they have 48. How many does Tom have? Give your answer as a single integer.",
    "What is the value of $\\frac{3}{4}+\\frac{1}{2}$?",
    "A store sells pens for $2 each. If Mia buys 7 pens and pays with a $20 bill, how much change does she get?",
    "The population of a town grew from 12,000 to 15,000. What was the percent increase?",
    "Calculate the average of 4, 8 and 15.",
    "Find the area of a circle with radius 3. Round to the nearest tenth.",
    "How far is the Moon from Earth in kilometers?",
    "What is the boiling point of ethanol in Celsius?",
    "How many Rs are in the word 'carrier'? Just the number please.",
    "What's 15% tip on $84?",
    "Return only the final numeric answer.\n\nA bag has 3 red and 5 blue balls. What is the probability of red?",
    "How many moons does Mars have?",
    "In welchem Jahr fiel die Berliner Mauer?",
    "Wie viel kostet es insgesamt, wenn 3 Hefte je 1,20 € kosten?",
    "En quelle année a eu lieu la Révolution française ?",
    "¿En qué año llegó Colón a América?",
    "一个长方形长8厘米,宽5厘米,面积是多少平方厘米?",
    "時速60kmで3時間走ると何km進みますか?",
    "В каком году началась Вторая мировая война?",
    "Поезд проехал 240 км за 3 часа. Какова его скорость?",
    "كم يساوي 5 + 7؟",
    "What number comes next: 3, 9, 27, 81?",
    "Problem: Ann has 3 cats, each with 4 kittens. How many kittens?\n\nAnswer:",
]
BOOLEAN = [
    "Passage: Persian is spoken in Iran and Afghanistan.\nQuestion: do iran and afghanistan speak the same language\nAnswer yes or no.",
    "The Eiffel Tower is in Paris.\nquestion: is the eiffel tower in france?\nanswer (true/false):",
    "Is the following statement true or false? The moon is larger than the earth.",
    "Statement: All squares are rectangles. True or False?",
    "Does the Amazon flow through Brazil?",
    "Is 91 a prime number? Reply with just yes or no.",
    "Are whales mammals?",
    "Did Einstein win a Nobel Prize?",
    'Premise: A man plays guitar. Hypothesis: A man plays an instrument. Does the premise entail the hypothesis? Answer "yes" or "no".',
    "Is this review positive? Answer Yes/No.\n\nI hated every minute of it.",
    "Does this text contain personal data? Respond with only 'true' or 'false'.\n\nCall me at five.",
    "Could a llama birth twice during the War in Vietnam (1945-46)? The answer is yes or no.",
    'Determine whether the sentence is plausible. Respond with yes or no: "Messi hit a home run."',
    "Is there a 0 in the binary form of 7? Return \\boxed{yes} or \\boxed{no}.",
    "Is the text below spam? Reply Y or N.\n\nYou won!",
    "Ist Berlin die Hauptstadt von Deutschland?",
    "Stimmt es, dass Wale Fische sind? Antworte mit ja oder nein.",
    "Est-ce que la Terre est plate ?",
    "La baleine est-elle un mammifère ? (oui/non)",
    "¿Es Madrid la capital de España? Responde con sí o no.",
    "¿La ballena es un pez? Sí o no.",
    "巴黎是法国的首都吗?",
    "判断对错:地球是平的。回答“对”或“错”。",
    "クジラは魚ですか?はいかいいえで答えてください。",
    "Является ли Париж столицей Франции?",
    "Кит — это рыба? Ответь «да» или «нет».",
    "La balena è un pesce? Rispondi sì o no.",
    "A baleia é um peixe? Responda sim ou não.",
    "Is it true that the Great Wall of China is visible from space?",
    "Answer with True or False only: Sharks are mammals.",
    "Can penguins fly?",
    "Was Abraham Lincoln the 16th president of the United States?",
    "Is the sum of 17 and 25 greater than 40? Yes/No",
    "Do the two sentences mean the same thing? Answer yes or no.\nS1: I am here.\nS2: I'm here.",
    "Given the passage, answer the question with yes or no.\n\nPassage: Foo is a bar.\n\nQuestion: is foo a bar",
    "Ist die Erde flach?",
    "Kann ein Pinguin fliegen?",
    "Le soleil est-il une étoile ?",
    "¿Es verdad que las ballenas son mamíferos?",
    "地球比月球大吗?",
    "Правда ли, что киты — млекопитающие?",
    "هل باريس عاصمة فرنسا؟",
    "Wahr oder falsch: Wasser kocht bei 90 Grad.",
    "Vrai ou faux : la Terre est plate.",
]
CHOICE = [
    "Describe the sum of 2 and 2.\nOptions:\nA. 3\nB. 4\nC. 5\nD. 6\n",
    "Discuss what 2 and 2 make.\n\nAnswer choices:\nA) 3\nB) 4\nC) 5\nD) 6",
    "The sum of 2 and 2 is\nA) 3\nB) 4\nC) 5\nD) 6",
    f"What is 2 + 2?\n{OPTIONS}\nAnswer:",
    f"What is 2 + 2?\n\n{OPTIONS}\n\nAnswer with the letter of the correct option.",
    f"Answer the following multiple choice question. The last line of your response should be of the following format: 'Answer: $LETTER' (without "
    f"quotes) where LETTER is one of ABCD. Think step by step before answering.\n\nWhat is 2 + 2?\n\n{OPTIONS}",
    "The following are multiple choice questions (with answers) about anatomy.\n\nWhat is 2 + 2?\nA. 3\nB. 4\nC. 5\nD. 6\nAnswer:",
    "Question: What is 2 + 2?\nChoices:\n(A) 3\n(B) 4\n(C) 5\n(D) 6\nPut the letter in <answer></answer> tags.",
    "What is 2 + 2? Put the letter of your choice in \\boxed{}.\nA. 3 B. 4 C. 5 D. 6",
    "What is 2 + 2?\n\n**A.** 3\n**B.** 4\n**C.** 5\n**D.** 6",
    "What is 2 + 2?\n\n| A | 3 |\n| B | 4 |\n| C | 5 |\n| D | 6 |\n\nReply with one letter.",
    "What is 2 + 2?\n\n- A: 3\n- B: 4\n- C: 5\n- D: 6",
    "What is 2 + 2?\nA.3\nB.4\nC.5\nD.6",
    "What is 2 + 2?\nA)3\nB)4\nC)5\nD)6\n",
    "What is 2 + 2?\n(a) 3\n(b) 4\n(c) 5\n(d) 6",
    "What is 2 + 2?\na. 3\nb. 4\nc. 5\nd. 6",
    "What is 2 + 2?\n\nOption A: 3\nOption B: 4\nOption C: 5\nOption D: 6",
    "2 + 2 = ___\nA) 3  B) 4  C) 5  D) 6",
    "Select the best answer.\n\n2 + 2 equals\n\nA. 3\n\nB. 4\n\nC. 5\n\nD. 6",
    "Was ist 2 + 2?\nA) 3\nB) 4\nC) 5\nD) 6\nAntworte nur mit dem Buchstaben der richtigen Antwort.",
    "Combien font 2 + 2 ?\nA) 3\nB) 4\nC) 5\nD) 6\nRéponds par la lettre.",
    "¿Cuánto es 2 + 2?\nA) 3\nB) 4\nC) 5\nD) 6\nResponde solo con la letra correcta.",
    "2+2等于几?\nA、3\nB、4\nC、5\nD、6\n请选择正确答案。",
    "2+2は?\nA. 3\nB. 4\nC. 5\nD. 6\n記号で答えてください。",
    "Сколько будет 2 + 2?\nA) 3\nB) 4\nC) 5\nD) 6\nОтветь одной буквой.",
    "What is 2 + 2?\n[A] 3\n[B] 4\n[C] 5\n[D] 6",
    "<question>What is 2 + 2?</question>\n<options>\nA: 3\nB: 4\nC: 5\nD: 6\n</options>",
    "What is 2 + 2? Options: A. 3, B. 4, C. 5, D. 6",
    "Which is right? Explain your reasoning, then give the letter.\nA. 3\nB. 4\nC. 5\nD. 6",
    "Kopfrechnen: 2 + 2 ist\nA: 3\nB: 4\nC: 5\nD: 6\nWelche Antwort ist richtig?",
    "Quanto fa 2 + 2?\nA) 3\nB) 4\nC) 5\nD) 6\nRispondi con la lettera.",
    "Quanto é 2 + 2?\nA) 3\nB) 4\nC) 5\nD) 6\nResponda apenas com a letra.",
    "Which of the following is a prime?\n\nA. 3\nB. 4\nC. 5\nD. 6\n\nAnswer with only the letter.",
    'Answer the question below by choosing from the options.\nQuestion: 2+2?\nOptions:\nA: 3\nB: 4\nC: 5\nD: 6\n\nOutput format: {"answer": "X"}',
    "Pick the correct choice (A, B, C or D).\n2+2? (A) 3; (B) 4; (C) 5; (D) 6",
    "2+2=?\n  A)  3\n  B)  4\n  C)  5\n  D)  6\n\nFinal answer (A/B/C/D):",
    "What is 2+2?\n\nA. 3\nB. 4\nC. 5\nD. 6\n\nLet's think step by step.",
    "A physician sees a man. Which diagnosis fits?\n(A) 3\n(B) 4\n(C) 5\n(D) 6",
    "Choose the letter.\n**Question:** 2+2\n\n* A) 3\n* B) 4\n* C) 5\n* D) 6",
]
LABEL = [
    ("Classify the text into neutral, negative or positive.\nText: I think the vacation is okay.\nSentiment:", {"neutral", "negative", "positive"}),
    ("Decide if the sentiment of the tweet is Positive, Neutral, or Negative.\n\nTweet: I loved it\nSentiment:", {"Positive", "Neutral", "Negative"}),
    (
        "Categories: billing, technical, other.\nTicket: My card was charged twice.\nRespond with the category only.",
        {"billing", "technical", "other"},
    ),
    (
        "Premise: A dog runs.\nHypothesis: An animal moves.\nLabel the pair as entailment, neutral, or contradiction.",
        {"entailment", "neutral", "contradiction"},
    ),
    ('Is this headline "clickbait" or "news"? Answer with one of the two labels.\n\nYou will not believe this', {"clickbait", "news"}),
    ("Route this request to one of: [sales, support, billing]. Output only the route.\n\nMy invoice is wrong.", {"sales", "support", "billing"}),
    ("Detect the language. Choose one of the following: English, German, French.\n\nBonjour", {"English", "German", "French"}),
    ("Label this email (urgent / normal / low). Reply with the label only.\n\nThe server is on fire.", {"urgent", "normal", "low"}),
    ("Ordne den Text einer der Kategorien zu: Sport, Politik, Kultur.\n\nDer FC gewann 3:1.", {"Sport", "Politik", "Kultur"}),
    ("Klassifiziere die Stimmung als positiv, negativ oder neutral: Das Essen war gut.", {"positiv", "negativ", "neutral"}),
    ("Classe ce texte comme positif, négatif ou neutre : J'ai adoré.", {"positif", "négatif", "neutre"}),
    ("Clasifica el sentimiento como positivo, negativo o neutral: Me encantó.", {"positivo", "negativo", "neutral"}),
    ("将以下评论分类为正面、负面或中性:我很喜欢。", {"正面", "负面", "中性"}),
    ("Определи тональность: положительная, отрицательная или нейтральная.\n\nМне понравилось.", {"положительная", "отрицательная", "нейтральная"}),
    ("Which is heavier: iron or feathers?", {"iron", "feathers"}),
    ("Labels:\n- toxic\n- safe\n\nPick exactly one label for this comment: You are dumb.", {"toxic", "safe"}),
    (
        'Answer with one of the following options: "My answer is yes.", "My answer is no.", "My answer is maybe.". Is Moscow the capital of Russia?',
        {"My answer is yes.", "My answer is no.", "My answer is maybe."},
    ),
]
TEXT = [
    "Compute $\\sum_{k=1}^{10} k^2$. Return your final answer in \\boxed{}.",
    "Let $f(x)=3x+2$. Find $f(5)$. Please reason step by step, and put your final answer within \\boxed{}.",
    "Who painted the Mona Lisa?",
    "In which country is Mount Kilimanjaro?",
    "What is the chemical symbol for gold?",
    "Which American-born Sinclair won the Nobel Prize for Literature in 1930?",
    "Where in England was Dame Judi Dench born?",
    "What's the capital of Australia?",
    "Answer the question with a short phrase.\n\nContext: Bob lives in Rome.\nQuestion: Where does Bob live?\nAnswer:",
    "Question: who sings does he love me with reba\nAnswer in as few words as possible.",
    "Context: The battle was won by Wellington at Waterloo.\n\nQuestion: Who won the battle?\nAnswer:",
    "What is the opposite of hot? One word.",
    "Give me the name of the largest ocean. Only the name, nothing else.",
    "Which planet is known as the Red Planet?",
    "When was the Magna Carta signed? Answer with the year only, no explanation.",
    "Wer hat Faust geschrieben?",
    "Wie heißt die Hauptstadt von Österreich?",
    "Qui a écrit Les Misérables ?",
    "¿Quién pintó el Guernica?",
    "¿Cuál es la capital de Perú?",
    "谁发明了电灯?",
    "日本の首都はどこですか?",
    "Кто написал «Войну и мир»?",
    "Какая столица Италии?",
    "Qual è la capitale d'Italia?",
    "Qual é a capital de Portugal?",
    "What word is the anagram of 'listen' that means to be quiet? Answer in one word.",
    "Unscramble: 'elppa'. Put the word in <answer></answer> tags.",
    "Who was the first person on the moon?",
    "Who directed Jaws?",
    "What is the currency of Japan?",
    "In what city is the Louvre located?",
    "Which gas do plants absorb?",
    "What is the name of the longest river in South America?",
    "What's the Spanish word for dog?",
    "Answer in one or two words: what is the hardest natural substance?",
    "Wo liegt der Mount Everest?",
    "Welcher Fluss fließt durch Paris?",
    "Où se trouve la tour Eiffel ?",
    "¿Dónde nació Picasso?",
    "¿Cuál es el río más largo de África?",
    "世界上最高的山是什么?",
    "富士山は何県にありますか?",
    "Где родился Пушкин?",
    "Какая самая длинная река в мире?",
    "ما هي عاصمة مصر؟",
    "Where was the 1992 Olympics held?",
    "Which band recorded Abbey Road?",
    "Who is the author of 1984?",
    "Extract the person's name from this sentence. Reply with only the name.\n\nBob went home.",
]
JSON = [
    'Extract name and date as JSON: {"name": string, "date": string}\n\nAnn came on May 3rd.',
    "Extract the entities from the text and return them as a JSON array.\n\nBob met Eve in Rome.",
    "Parse this invoice into JSON with the fields total, currency and date.\n\nTotal: 12 EUR, 3 May 2024",
    "Convert the following to JSON:\n\nname: Ann\nage: 4",
    'Respond with a JSON object matching this schema:\n{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}\n\nI live in Rome.',
    "Text: Ann, 4, Rome\n\nOutput (JSON only, no markdown):",
    'Fill in this template from the text. Output JSON.\n```json\n{"sender": "", "amount": 0}\n```\nText: Bob sent 5.',
    "Gib die Daten als JSON zurück: Name und Alter.\n\nAnna ist 4.",
    "Réponds uniquement en JSON avec les clés nom et âge.\n\nAnna a 4 ans.",
    "Devuelve un JSON con los campos nombre y edad.\n\nAna tiene 4 años.",
    "请以JSON格式输出姓名和年龄。\n\n小明4岁。",
    "JSON形式で名前と年齢を出力してください。\n\n花子は4歳です。",
    "Верни JSON с полями name и age.\n\nАнне 4 года.",
    "Return JSON with keys sentiment and confidence for: I love it.",
    'Extract the data. Respond with only a JSON object, no prose: {"a": int}\n\nThere are 4 a.',
    "You are an API. Output must be valid JSON.\n\nInput: Bob, 5",
    "Generate a JSON list of the people in the text.\n\nBob and Eve met.",
    'Using this JSON schema: {"type":"object"}, extract the fields from: Bob is 5.',
    "Your entire output should be in JSON format. Write a short story about a dog.",
]
CODE = [
    "Write a JSON parser in C.",
    "Write a Python function that returns the factorial of n.",
    'Complete the following Python function.\n\ndef add(a: int, b: int) -> int:\n    """Return the sum of a and b."""\n',
    'from typing import List\n\n\ndef below_zero(operations: List[int]) -> bool:\n    """Return True if the balance falls below zero.\n    >>> below_zero([1, 2])\n'
    '    False\n    """\n',
    "You are an expert Python programmer, and here is your task: Write a function to find the shared elements from the given two lists. Your code should "
    "pass these tests:\n\nassert similar_elements((3, 4), (5, 4)) == (4,)",
    "Implement quicksort in Rust.",
    "Fix the bug in this function:\n```js\nfunction f(x) { retrun x }\n```",
    "Refactor this class to use dataclasses.\n```python\nclass A: pass\n```",
    "Write an SQL query that returns the three best customers.",
    "Generate a regular expression that matches IPv4 addresses.",
    "Write unit tests for this function.\n```python\ndef f(x): return x\n```",
    "Schreibe eine Python-Funktion, die prüft, ob eine Zahl gerade ist.",
    "Écris une fonction Python qui calcule la moyenne d'une liste.",
    "Escribe una función en Python que invierta una cadena.",
    "Напиши функцию на Python, которая складывает два числа.",
    "用Python写一个函数,判断一个数是否为质数。",
    "Pythonで素数を判定する関数を書いてください。",
    "Can you write a bash script that renames all files?",
    "I need a TypeScript function which debounces another. Return only the code.",
    "Convert this Python code to Go:\n```python\nprint(1)\n```",
    "Create a React component with a counter.",
    'Please provide a self-contained Python script that solves the following problem in a markdown code block:\n```\ndef f(n):\n    """Is n even?"""\n```',
]
KEYLESS = [
    "hi",
    "ok thanks!",
    "Continue.",
    "What do you mean?",
    "Why?",
    "Can you explain that again?",
    "Can you help me with my homework?",
    "Do you like music?",
    "Are you sentient?",
    "Is it worth learning Latin?",
    "Should I take the job? I have two kids, A) stay or B) go, and I feel lost.",
    "Tell me about the history of Rome.",
    "How does a diesel engine work?",
    "How do I center a div?",
    "What is photosynthesis?",
    "What is the meaning of life?",
    "What are some good books about Rome?",
    "What's the best way to learn chess?",
    "Write a story about a boy who has 5 apples.",
    "Write a limerick. Answer only with the limerick.",
    "Write a 300+ word summary of the wikipedia page about Raymond III. Do not use any commas and highlight at least 3 sections.",
    "Give three synonyms for happy. Wrap your entire response in double quotation marks.",
    "Summarize this article in two sentences: How many people lived there? It was 1984.",
    "Generate a concise, 3-5 word title with an emoji summarizing the chat history.",
    "Generate 1-3 broad tags categorizing the main themes of the chat history.",
    "Create a short title for this conversation: user asks how many apples are left",
    "Suggest 3-5 relevant follow-up questions or prompts that the user might ask next.",
    "Write a commit message for this diff:\n```diff\n- a = 1\n+ a = 2\n```",
    "Translate to Spanish: Is it true or false?",
    "Übersetze ins Englische: Wie viele Äpfel hast du?",
    "Traduis en anglais : Combien de pommes as-tu ?",
    "Correct the grammar: how much is you have?",
    "Rewrite this more politely: Answer yes or no!",
    "Proofread: What is the capital of France?",
    "Explain step by step how to solve 3x + 7 = 22.",
    "Compare Python and Go.",
    "Brainstorm names for a cat.",
    "List five numbers between 1 and 10.",
    "Give me 10 random numbers.",
    "What do you think: is pineapple on pizza good or bad?",
    "Discuss whether A) capitalism or B) socialism is better.",
    "Let's play a game. You are the dungeon master.",
    "Roleplay as a pirate.",
    "Explain what this code does:\n```python\nprint(1)\n```",
    "Review this pull request.\n```diff\n- a\n+ b\n```",
    "Who are you?",
    "How are you today?",
    "How much do you know about Rome?",
    "How long have you been around?",
    "Erkläre mir die Relativitätstheorie.",
    "Wie funktioniert ein Motor?",
    "Schreibe eine E-Mail an meinen Chef.",
    "Pourquoi le ciel est-il bleu ?",
    "Explique la photosynthèse.",
    "¿Por qué el cielo es azul?",
    "Escribe un cuento corto.",
    "为什么天空是蓝色的?",
    "写一封求职信。",
    "空はなぜ青いのですか?",
    "俳句を書いてください。",
    "Почему небо голубое?",
    "Расскажи сказку.",
    "What are the steps to bake bread?",
    "Plan a 3-day trip to Rome. How many museums can we see?",
    "Describe the plot of Hamlet.",
    "Make a table of the planets and their diameters.",
    "List the primes below 30.",
    "What are the first five presidents of the USA?",
    "Name three rivers in Africa.",
    "What happened in 1984?",
    "How did World War I start?",
    "Debate the pros and cons of nuclear power.",
    "Is there any way to speed up my computer?",
    "Give me feedback on my essay: The year was 1984. How many remember?",
    "Draft a reply to this email: Could you come on Monday? Yes or no?",
    "Write a quiz with options A) to D) about rivers.",
    "Create 5 multiple choice questions about the French Revolution.",
    "What is JSON?",
    "How do I parse JSON in Python?",
    "My JSON file is broken, what can I do?",
    "How do I return JSON from Flask?",
    "What is a JSON?",
    'Convert this JSON to YAML: {"a": 1}',
    "Give me an example of a haiku",
    "Is there a good restaurant near you?",
    "Can you recommend a book?",
    "What can I do about my noisy neighbours?",
    "What should I name my cat?",
    "How would you describe yourself?",
    "Tell me something interesting.",
    "How do I tell if my egg is fresh? Is it true that floating works?",
    "What is the best way to cook rice?",
    "Are you able to browse the web?",
    "Did you get my last message?",
    "Could you make that shorter?",
    "Is this good?",
    "Does that make sense?",
    "Why is 7 prime?",
    "Prove that the square root of 2 is irrational.",
    "Show that n^2+n is even.",
    "Derive the quadratic formula.",
    "What's the weather like today?",
    "Write three sentences that each contain the word 'yes' or 'no'.",
    "Write an ad for a new pen. Include exactly 3 exclamation marks. In your response, the letter a should appear at least 5 times.",
    "Was kann ich heute kochen?",
    "Hast du Lust zu reden?",
    "Kannst du mir helfen?",
    "Peux-tu m'aider ?",
    "¿Puedes ayudarme?",
    "你能帮我吗?",
    "手伝ってくれますか?",
    "Можешь помочь?",
    "Ist es sinnvoll, Latein zu lernen?",
    "Was ist der Unterschied zwischen TCP und UDP?",
    "Quels sont les avantages du vélo ?",
    "¿Qué opinas de la película?",
    "量子力学是什么?",
    "機械学習とは何ですか?",
    "Что такое рекурсия?",
    "Extract all dates from this text as a bulleted list.\n\n1 May, 2 June",
    "Generate 5 search queries for: how many people live in Rome",
    "<task>Generate a title</task>\nUser: what is 2+2?\nAssistant: 4",
    "You are a helpful coding assistant. Edit the file so that the number of retries is 5.\n```py\nretries = 3\n```",
    "What does this error mean? TypeError: unsupported operand",
    "Find the bug: for i in range(10) print(i)",
    "How many ways can I improve my essay?",
    "When should I use a mutex?",
    "Where can I find good coffee?",
    "Who can help me with taxes?",
]


CONVERSATIONS = [
    (
        "choice",
        [
            (
                "user",
                "The following are multiple choice questions (with answers) about astronomy.\n\nQ1?\nA. x\nB. y\nC. z\nD. w\nAnswer: B\n\nWhich is largest?\nA. Mars\nB. Venus\nC. Jupiter\nD. Saturn\nAnswer:",
            )
        ],
    ),
    (
        "choice",
        [
            (
                "user",
                "Read the following sentence and choose the best continuation.\n\nA man sits on a roof. He\n\nA. is using wrap to wrap skis.\nB. is ripping tiles off.\nC. is holding a cube.\nD. starts pulling up roofing.\n\nAnswer:",
            )
        ],
    ),
    (
        "choice",
        [
            (
                "user",
                "Sentence: The trophy didn't fit in the suitcase because it was too large. What does 'it' refer to?\nA) the trophy\nB) the suitcase",
            )
        ],
    ),
    ("choice", [("user", "Goal: open a jar.\n\nA. twist the lid\nB. eat the lid\n\nWhich solution is better? Answer with A or B.")]),
    (
        "choice",
        [
            (
                "user",
                "Which response is better? [[A]] or [[B]]? Output your verdict as [[A]] if assistant A is better, [[B]] if assistant B is better.",
            )
        ],
    ),
    (
        "choice",
        [
            ("system", "You answer multiple-choice questions with a single letter."),
            ("user", "Which is largest?\nA. Mars\nB. Venus\nC. Jupiter\nD. Saturn"),
        ],
    ),
    ("choice", [("system", "Answer with the letter only."), ("user", "Which planet is largest? (A) Mars (B) Venus (C) Jupiter (D) Saturn")]),
    ("choice", [("user", "A. Mars\nB. Venus\nC. Jupiter\nD. Saturn\n\nWhich of the above planets is the largest?")]),
    ("choice", [("user", "Explain your answer.\nWhich is largest?\nA. Mars\nB. Venus\nC. Jupiter\nD. Saturn")]),
    (
        "choice",
        [
            (
                "user",
                'Which is largest?\nA. Mars\nB. Venus\nC. Jupiter\nD. Saturn\n\nThink step by step and finish your answer with "the answer is (X)" where X is the correct letter choice.',
            )
        ],
    ),
    ("number", [("user", "Which is largest?\n1) Mars\n2) Venus\n3) Jupiter\n4) Saturn\nAnswer with the number of the correct option.")]),
    ("number", [("user", "Which option is correct? 1. Mars 2. Venus 3. Jupiter\n\nAnswer with a single digit.")]),
    ("number", [("user", "Solve this problem: A farmer has 17 sheep and all but 9 die. How many are left? Show your work.")]),
    ("number", [("user", "I have 3 apples. I ate one yesterday. How many apples do I have now?")]),
    ("number", [("user", "What is the largest prime factor of 13195?")]),
    ("number", [("user", "What is the sum of the digits of 2^15?")]),
    ("number", [("user", "Evaluate 5!")]),
    ("number", [("user", "What's 100 / 8?")]),
    ("number", [("user", "2+2")]),
    ("number", [("user", "2+2=?")]),
    ("number", [("user", "what is 12 factorial")]),
    ("number", [("user", "How tall is Mount Everest in meters?")]),
    ("number", [("user", "How old was Mozart when he died?")]),
    ("number", [("system", "You are a calculator. Reply with the number only."), ("user", "17*23")]),
    ("number", [("user", "What is 2+2?"), ("assistant", "4"), ("user", "And what is 3+3?")]),
    ("number", [("user", "Q: What is 2+2?\nA:"), ("assistant", "4"), ("user", "Q: What is 3+5?\nA:")]),
    ("boolean", [("system", "You are a classifier. Answer only yes or no."), ("user", "This is great!")]),
    ("boolean", [("user", "Is the following tweet about sports? (yes/no)\n\nGo team!")]),
    ("boolean", [("user", "Verify the claim. Output SUPPORTED... no: Is the claim true? Answer true or false.\n\nClaim: Water is dry.")]),
    ("label", [("user", "Claim: Water is dry.\nEvidence: Water is wet.\n\nOutput one of: SUPPORTS, REFUTES, NOT ENOUGH INFO.")]),
    ("label", [("user", "Which answer is better: 'A1' or 'A2'? Answer with one of the labels \"first\" or \"second\".")]),
    ("label", [("user", "What is the part of speech of 'run' in 'I run'? Choose from noun, verb, adjective.")]),
    (
        "label",
        [
            (
                "system",
                "Classify the user's intent into one of the following categories: greeting, order, complaint, other. Respond with only the category.",
            ),
            ("user", "My pizza is cold"),
        ],
    ),
    ("label", [("user", "Determine the sentiment (positive, negative, neutral): 'Best day ever!'")]),
    (
        "text",
        [
            (
                "user",
                "Answer the following question based on the context.\n\nContext: Bob went to Rome in 1999.\n\nQuestion: Where did Bob go?\n\nAnswer:",
            )
        ],
    ),
    ("text", [("user", "Q: Who wrote Dracula?\nA:")]),
    ("text", [("user", "Question: Which city hosted the 1992 Summer Olympics?\nAnswer:")]),
    ("text", [("user", "Complete the analogy: hot is to cold as up is to ____")]),
    ("text", [("user", "What's the name of the dog in The Wizard of Oz?")]),
    ("json", [("system", "Extract fields and return valid JSON with keys name, age."), ("user", "Ann is 4.")]),
    ("json", [("user", "Return the result as JSON.\n\nText: Ann is 4.")]),
    ("json", [("user", "Extract {name, age} from: Ann is 4. Output: JSON")]),
    (None, [("system", "You are an autonomous coding agent. Reply with JSON when calling tools."), ("user", "hello")]),
    (None, [("system", "You are a helpful assistant. Answer yes or no questions briefly when asked."), ("user", "Write me a poem")]),
    (
        None,
        [
            ("system", "You are Continue, a coding assistant. Always include the language in code blocks."),
            ("user", "why is this slow?\n```py\nfor i in range(10): pass\n```"),
        ],
    ),
    (None, [("user", "Here is the code:\n```py\nx = 1\n```\nRename x to y.")]),
    (None, [("user", "Complete the code at <CURSOR>:\n```py\ndef add(a, b):\n    <CURSOR>\n```")]),
    (None, [("user", "Implement a stack with push and pop. Return True if the stack is empty.")]),
    (None, [("user", "Write a function is_prime(n) that returns True or False.")]),
    (None, [("user", "Write a program that prints yes or no depending on the input.")]),
    (None, [("user", 'def is_prime(n):\n    """Return True if n is prime, else False."""')]),
    (
        None,
        [
            (
                "user",
                'Implement the function below.\n\ndef has_close(numbers: list, t: float) -> bool:\n    """ Check if ... \n    >>> has_close([1.0], 0.5)\n    False\n    """',
            )
        ],
    ),
    (
        None,
        [
            (
                "user",
                'Read the following function signature and docstring, and fully implement the function described. Your response should only contain the code for this function.\n\ndef f(n: int) -> int:\n    """How many digits has n?"""\n',
            )
        ],
    ),
    (None, [("user", "You are given an integer array nums. Return the number of good pairs. Write it in Python.\n\nExample: nums=[1] -> 0")]),
    (None, [("user", "Fix the failing test. How many retries does it need?")]),
    (None, [("user", "SEARCH/REPLACE: change the timeout to 5 seconds in config.py")]),
    (None, [("user", "Write a product description that includes the words 'yes or no'.")]),
    (None, [("user", "Write a dialogue where someone asks how many apples there are.")]),
    (None, [("user", "Imagine you are a tree. How many leaves do you have, and how do you feel?")]),
    (None, [("user", "Compose an email asking whether the meeting is at 5. Yes or no answer expected.")]),
    (None, [("user", "What are 5 tips for better sleep?")]),
    (None, [("user", "How many ways are there to say hello? List them.")]),
    (None, [("user", "How much wood would a woodchuck chuck? Write it as a song.")]),
    (None, [("user", "Is AI dangerous? Discuss in depth.")]),
    (None, [("user", "Is AI dangerous? Write an essay.")]),
    (None, [("user", "Who was Napoleon? Write a biography.")]),
    (None, [("user", "Who was Napoleon and why was he important?")]),
    (None, [("user", "Where should I travel in May?")]),
    (None, [("user", "When is the best time to visit Japan?")]),
    (None, [("user", "Which laptop should I buy?")]),
    (None, [("user", "What is the capital of France and what is it known for?")]),
    (None, [("user", "What is the name of this pattern and how does it work?")]),
    (None, [("user", "Which is better, Vim or Emacs?")]),
    (None, [("user", "Which do you prefer: tea or coffee?")]),
    (None, [("user", "tea or coffee?")]),
    (None, [("user", "Tell me whether I should quit. My boss is A) rude B) lazy.")]),
    (None, [("user", "Here are my notes:\nA. Buy milk\nB. Call mom\nC. Pay rent\nTurn them into a schedule.")]),
    (None, [("user", "Summarize:\nA) The sun is hot.\nB) The moon is cold.\nC) Mars is red.")]),
    (None, [("user", "Rewrite each option:\nA. buy\nB. sell\nC. hold")]),
    (None, [("user", "Outline:\nA. Introduction\nB. Methods\nC. Results\n\nWrite the introduction section.")]),
    (None, [("user", "Translate the multiple choice question into German:\nWhich?\nA. Mars\nB. Venus\nC. Jupiter\nD. Saturn")]),
    (None, [("user", "List the labels you would use: bug, feature.")]),
    (None, [("user", "Add docstrings to this file.")]),
    (None, [("user", "Please answer in English: what do you do?")]),
    (None, [("user", "Test")]),
    (None, [("user", "Who am I?")]),
    (None, [("user", "What's up?")]),
    (None, [("user", "What's your name?")]),
    (None, [("user", "Are you there?")]),
    (None, [("user", "Where are you from?")]),
    (None, [("user", "When were you trained?")]),
    (None, [("user", "How old are you?")]),
    (
        None,
        [
            ("system", "You are a title generator. You output ONLY a thread title."),
            ("user", "Generate a title for this conversation:"),
            ("user", "How many legs has a spider?"),
        ],
    ),
    (None, [("user", "Based on the chat history, generate 3 follow-up questions.\n<chat_history>\nUSER: what is 2+2?\n</chat_history>")]),
    (None, [("user", "Provide a concise, 5-word-or-less title for the conversation, using title case.\n\nConversation:\nUser: Is 7 prime?")]),
    (
        None,
        [
            (
                "user",
                '### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Output:\nJSON format: { "title": "your concise title here" }\n### Chat History:\n<chat_history>USER: how many legs has a spider?</chat_history>',
            )
        ],
    ),
    (
        None,
        [
            (
                "user",
                'Analyze the chat history to determine the necessity of generating search queries. Respond exclusively with a JSON object: { "queries": ["q"] }\n<chat_history>USER: who is it?</chat_history>',
            )
        ],
    ),
    (None, [("user", "Generate a concise 3-7 word title for this conversation, omitting punctuation.")]),
    (None, [("user", "Please summarize our conversation so far. How many files did we change?")]),
]


def asked(question: str) -> Request:
    """A request of one question."""
    return Request(id="r", model="m", messages=(Message(role="user", parts=(TextPart(text=question),)),))


def told(question: str) -> Wanted | None:
    """What a question wants to be told."""
    return wanted(asked(question))


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        *((question, "number") for question in NUMBER),
        *((question, "boolean") for question in BOOLEAN),
        *((question, "choice") for question in CHOICE),
        *((question, "label") for question, _ in LABEL),
        *((question, "text") for question in TEXT),
        *((question, "json") for question in JSON),
    ],
)
def test_the_kind_is_told_from_the_words(question: str, kind: str) -> None:
    """Whatever the wording, the language and the layout."""
    found = told(question)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize("question", CHOICE)
def test_the_options_are_told_with_their_texts(question: str) -> None:
    """Four options, of which B has the text 4."""
    found = told(question)
    assert found is not None
    assert found.options == tuple("ABCD")
    assert found.texts["B"] == "4"


@pytest.mark.parametrize(("question", "labels"), LABEL)
def test_the_labels_are_told(question: str, labels: set[str]) -> None:
    """Every offered label and no other."""
    found = told(question)
    assert found is not None
    assert set(found.options) == labels


@pytest.mark.parametrize("question", [*KEYLESS, *CODE])
def test_what_cannot_be_counted_has_no_key(question: str) -> None:
    """Chat, writing, explaining, chores of clients and code."""
    assert told(question) is None


@pytest.mark.parametrize("question", CODE)
def test_a_wish_for_code_is_told(question: str) -> None:
    """Written, completed, mended, moved to another language."""
    assert wants_code(asked(question))


@pytest.mark.parametrize("question", [*NUMBER, *BOOLEAN, *CHOICE, *(question for question, _ in LABEL), *TEXT, *JSON, *KEYLESS])
def test_what_wants_no_code_is_not_taken_for_it(question: str) -> None:
    """Neither a question about code nor anything else."""
    assert not wants_code(asked(question))


@pytest.mark.parametrize(("kind", "turns"), CONVERSATIONS)
def test_the_kind_is_told_in_a_conversation(kind: str | None, turns: list[tuple[str, str]]) -> None:
    """With system messages, in templates of benchmarks, and in what editors and other clients send."""
    messages = tuple(Message(role=role, parts=(TextPart(text=text),)) for role, text in turns)  # type: ignore[arg-type]
    found = wanted(Request(id="r", model="m", messages=messages))
    assert (None if found is None else found.kind) == kind
