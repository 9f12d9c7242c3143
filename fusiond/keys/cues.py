"""The words by which requests say what they want; those of other languages than English stand in `tongues`.

Patterns only. They repeat within bounds, so that a hostile prompt costs no more than its length; of a very long one only the
head and the tail are searched.
"""

from __future__ import annotations

import re

from fusiond.keys import tongues
from fusiond.keys.patterns import alternation

_FLAGS = re.IGNORECASE | re.VERBOSE
_HEAD, _TAIL = 4_000, 8_000

PLACE = re.compile(
    r"""<answer>|\\boxed|\bboxed\b
      | \bfinal\ (?:numerical\ |numeric\ )?answer\b
      | \b(?:end|finish|conclude)\b[^.\n]{0,60}\b(?:with|by)\b[^\n]{0,30}\banswer
      | ["'`*]?\banswer:\s{0,2}["'`]?(?:\[|<|\{|\$|___|\.\.\.|x\b)
      | \bthe\ answer\ is\ ["'(\[<_x]
      | \#\#\#\#\ """,
    _FLAGS,
)
"""A place is made for the answer."""

_ANSWER_FIELD = re.compile(r"""["'](?:final[_ ]?)?answer["']\s{0,4}:""", re.IGNORECASE)
_OTHER_FIELD = re.compile(r"""["']([a-z][a-z_ ]{1,30})["']\s{0,4}:\s{0,4}["'\[{<]""", re.IGNORECASE)
_REASONS = re.compile(r"reason|explan|thought|thinking|rationale|steps?|analysis|solution|work|chain|justif|answer|confidence", re.IGNORECASE)

LETTER = alternation(
    r"""\b(?:correct|option|answer|choice|right)\ letter\b | \[\[A\]\]
      | \bletter\ (?:only|choice|of\ (?:the|your)\ (?:\w{1,12}\ ){0,2}(?:option|answer|choice|statement)|corresponding\ to)
      | \b(?:answer|respond|reply|give|output|return|provide|only|just)\b[^.\n]{0,40}
        \b(?:the\ letter|a\ (?:single\ )?letter|one\ letter|letter\ only|single\ letter|option\ letter)\b
      | \b(?:is\ an?|this|the|following|one)\ (?:\w{1,12}\ )?multiple[- ]choice\ (?:question|problem|exam|test|quiz)\b
    """
    + tongues.LETTER,
)
"""The answer is to be a letter."""

CHOOSING = alternation(
    r"""[?？] | \b(?:which|choose|select|pick|options?|choices?|correct|answer|following)\b | _{2,}""" + tongues.CHOOSING,
)
"""The options are there to choose from."""

OFFERED = re.compile(r"(?:^|\n)\W{0,4}(?:answer |possible )?(?:options|choices|answers)\W{0,4}[:：]\s", _FLAGS & ~re.VERBOSE)
"""A heading over the options, below which even "describe" and "discuss" ask for one of them."""

BOOLEAN = alternation(
    r"""\b(?:yes|true)["'`*]{0,2}\s?(?:/|\bor\b|\|)\s?["'`*]{0,2}(?:no|false)\b(?!\W{0,3}questions)
      | \breturn\ ["'`]?(?:true|yes)["'`]?\ (?:if|when)\b | \\boxed\{(?:yes|true)\} | \by/n\b | (?-i:\bY\ or\ N\b)
    """
    + tongues.BOOLEAN,
)
"""The answer is to be yes or no, true or false."""

JSON = alternation(
    r"""(?:\b(?:return|respond|reply|output|answer|give|produce|format|provide|present|generate|extract|convert|emit|print)\b[^.\n]{0,60}\b
        | \b(?:as|in|into|with|only|valid)\ (?:(?:an?|valid|strict|raw|pure|plain|single|this|the\ following)\ ){0,3})
        (?<!this\ )(?<!my\ )(?<!above\ )(?<!from\ )(?<!from\ the\ )(?<!following\ )json\b(?!\s?(?:files?|parser|schema|library|web|api|lines
          |to|into)\b)
      | \b(?:this|the|following)\ json\ (?:format|structure|template|object)\b(?!\ (?:to|into)\b)
      | \busing\ (?:this|the)\ (?:following\ )?json\ schema\b
      | \b(?:match\w{0,3}|following|fits?|according\ to|conform\w{0,3}\ to|adher\w{1,3}\ to)\ (?:(?:this|the|following|given|json)\ ){0,3}schema\b
    """
    + tongues.JSON,
)
"""The answer is to be a JSON document."""

ONLY_NUMBER = alternation(
    r"""\b(?:answer|respond|reply|output|return|give|provide|express|write|state|report|final|single|only|just)\b[^.\n]{0,50}
        \b(?:(?:a|an|the|as|with|only|just|single|one)\ (?:[a-z]{1,12}\ ){0,2}(?:number|integer|numeral|digit|decimal)|numeric(?:al)?\ (?:value|
          answer|result)|numbers?\ only|number\ of\b)
        (?!s)(?!\ (?:for|in|on|at)\ (?:each|every)|\ of\ (?:each|every)|-separated|ed\b|\ list|\ sequence)
      | \b(?:round|rounded)\b(?:[^.\n]|\.\d){0,40}\b(?:decimal|integer|nearest|places?)\b
      | \b(?:output|answer|respond\ with|reply\ with|return|print)\ ["'`]?\d["'`]?\ (?:for|if|when)\b
      | \bas\ an?\ (?:integer|decimal|percentage|fraction|number)\b
    """
    + tongues.ONLY_NUMBER,
)
"""The answer is to be a number."""

LITERAL = re.compile(
    r"""==\s?\?\? | \bassert\b[^\n]{0,400}==\s?(?:\?|_{2,}|<)
      | \b(?:what|which)\b[^.\n?]{0,40}\b(?:code|program|function|snippet|script|expression|call|statement)\b[^.\n?]{0,60}\b(?:print|output|
        return|evaluate)s?\b
      | \bwhat\ (?:does|will|would|is)\b[^.\n?]{0,60}\b(?:print|printed|return|returned|evaluate\ to|the\ output\ of|the\ result\ of\ (?:running|
        executing))\b[^\n]{0,60}(?:[?:]|```)
      | \bpredict\ (?:the\ )?output\b | \bgive\ (?:only\ )?the\ (?:exact\ )?output\ of\b""",
    _FLAGS,
)
"""The answer is a program's value."""

CODE = alternation(
    r"""\b(?:write|implement|create|build|develop|code|refactor|rewrite|fix|debug|complete|optimi[sz]e|port|generate)\b[^.\n?]{0,80}
        \b(?:function|functions|program|script|class|code|method|module|query|sql|regex|regular\ expression|api|endpoint|(?:unit|failing
          |integration)\ tests?|tests\ for|component|
          algorithm|html|css|bash|python|javascript)\b
      | \b(?:implement|write)\b[^.\n?]{0,80}\bin\ (?:python|rust|go|golang|java|javascript|typescript|c|c\+\+|c\#|ruby|php|swift|
        kotlin|scala|haskell|bash|sql|r|julia|perl|lua)(?=[\s.:,!]|$)
      | \b(?:need|want|provide|give\ me)\b[^.\n?]{0,40}\b(?:script|function|regex|snippet)\b | \b(?:return|output)\ only\ (?:the\ )?code\b
      | \b(?:convert|translate|port|migrate)\ (?:this|the|my)\ (?:\w{1,12}\ )?(?:code|function|script|class|query)\b
      | \bfix\ (?:this|the|my)\b|\brefactor\b | ^\W{0,4}(?:please\ )?implement\b
    """
    + tongues.CODE,
)
"""The request wants code."""

SHOWN = alternation(
    r"""^\s{0,4}(?:def|class|function|const|public|import|from\ [\w.]{1,40}\ import|\#include)[ <]
      | \n\s{0,4}(?-i:(?:def|func|fn)\ \w{1,60}\(|class\ \w{1,60}[^\n]{0,80}:\s{0,2}\n|function\ \w{1,60}\([^\n]{0,120}\{
          |public\ [\w<>\[\]\ ]{1,60}\()
      | (?:^|\n)(?:diff\ --git|@@\ -\d)
    """
)
"""Code stands in the request: to be gone on with, unless its words ask for something else."""

TOOLED = re.compile(
    r"<(?:execute_command|attempt_completion|use_mcp_tool|ask_followup_question|read_file|write_to_file)>|\btool use is formatted\b", re.IGNORECASE
)
"""Tools are called in the words of the answer: one actor is wanted."""

LONG = 2000
"""Characters of instructions that describe an assistant, rather than an answer."""

_SOMETIMES = re.compile(
    r"[^.!?\n]{0,200}\b(?:if|when|whenever|unless|in case)\b[^.!?\n]{0,60}"
    r"\b(?:asks?|asked|user|given|questions?|options|requested|wants?)\b[^.!?\n]*[.!?]?",
    re.IGNORECASE,
)
_FENCED = re.compile(r"^```.*?(?:^```|\Z)", re.MULTILINE | re.DOTALL)
_CODE_LINES = re.compile(
    r"^(?:@|async def |def |class |import |from \w[\w.]* import |assert |>>> ).*(?:\n(?:[ \t]+.*|[ \t]*(?=\n[ \t])))*", re.MULTILINE
)

PROSE = re.compile(
    r"""^\W{0,4}(?:(?:please|kindly|hi|hello|hey|now|can\ you|could\ you|would\ you|will\ you
            |i\ (?:want|need|would\ like)\ (?:you\ )?(?:to|a|an)|i['’]d\ like(?:\ you)?(?:\ to)?|help\ me(?:\ to)?
            |let['’]s|you\ are[^.\n]{0,200}\.|bitte)[,:]?\s{1,3}){0,4}
        (?:write|compose|draft|summari[sz]e|explain(?!\ your\ (?:answer|reasoning|choice|thinking))|describe|translate|rewrite|rephrase
          |paraphrase|discuss|elaborate|brainstorm|imagine|create|
          design|generate|outline|suggest|recommend|compare|contrast|analy[sz]e|review|edit|proofread|improve|tell\ me\ (?:a|about|more|
            how(?!\ (?:many|much|old|long|far|tall)))|
           talk|give\ me\ (?:some|a\ (?:list|summary|story|poem|joke|recipe|plan|detailed|brief|short)|ideas|advice|tips|an?\ (?:overview|
             explanation|essay))|list|plan|prepare|make\ (?:a|an|me)|roleplay|pretend|act\ as|continue|expand|advise|introduce|persuade|teach|thank|
           poem|story|essay|schreib\w{0,3}|erkläre?\w{0,2}|übersetze?\w{0,2}|beschreib\w{0,3}|fasse|écri\w{1,4}|expli\w{2,6}|tradui\w{1,3}|
             décri\w{1,3}|résume\w{0,2}|escrib\w{1,3}|traduc\w{1,3}|resum\w{1,3}|напиши\w{0,2}|объясни\w{0,2}|переведи\w{0,2}|опиши\w{0,2}|
               расскажи\w{0,2})\b
      | ^\W{0,4}(?:请)?(?:写|翻译|解释|总结|描述|创作|介绍|为什么)|(?:書いて|翻訳して|説明して|要約して|教えて)
      | \btranslate\b[^.\n]{0,80}\b(?:to|into)\b | \bin\ (?:detail|depth|
        your\ own\ words)\b | \bwrite\ (?:a|an|me|the|some|about)\b
      | \b(?:poem|essay|blog\ post|short\ story|cover\ letter|haiku|lyrics|tweet)\b""",
    _FLAGS,
)
"""The request wants prose: writing, explaining, translating, ideas."""

ONLY_TEXT = alternation(
    r"""\b(?:answer|respond|reply|give|provide|return|output|state|name)\b[^.\n]{0,50}
        \b(?:one|a\ single|single|1|two|a\ few|few|1-3|one-word|\d\ or\ \d)[ -](?:word|words|phrase|name|term)\b
      | \b(?:only|just|nothing\ but)\b[^.\n]{0,20}\b(?:the|a|an|its|his|her|their|with)?\s?(?:full\ |first\ |last\ |exact\ )?(?:name|color|colour|
        city|country|person|word|weekday|place|title|term|entity|person['’]s\ name|answer)\b
      | \bshort\ (?:phrase|answer)\b | \bin\ (?:one|a\ single|1|two|a\ few|at\ most\ \w{1,6})\ words?\b | \bone[- ]word\ answer\b |
        \bas\ (?:briefly|shortly|concisely)\ as\ possible\b | \bno\ explanation\b|\bwithout\ explanation\b
    """
    + tongues.ONLY_TEXT,
)
"""The answer is to be a word or a name."""

_TALK = r"(?:conversation|chat|thread|session|discussion|dialogue?)"
CHORE = alternation(
    rf"""\b(?:title|tag|query|summary|suggestion)\ generator\b | <chat_history>
      | \b{_TALK}\s(?:title|name)\b | \b(?:title|name)\ (?:this|the|our)\ {_TALK}\b
      | \b(?:generate|create|provide|write|suggest|give|make|compose|produce|return|name|come\ up\ with|reply\ with|respond\ with)
        \b[^.\n]{{0,80}}\b(?:titles?|headline|name|tags|follow-?up\ questions|search\ quer(?:y|ies)|summary)\b[^.\n]{{0,60}}
        \b(?:{_TALK}|message|history|user|following\ request)\b
      | \btitles?\ for\ (?:the\ |this\ |an?\ |chatbot\ )?(?:{_TALK}s?|request)\b | \bfitting\ emoji\b
      | \#{{3}}\ Task:\s{{0,3}}(?:generate|suggest|create|analy[sz]e\ the\ chat|determine|you\ are\ an\ autocompletion)
      | (?:^|[>\n])[\s\#]{{0,4}}(?:generate|create|write|suggest|provide)\ (?:an?|the|\d)\ [^.\n]{{0,40}}\b(?:title|tags|search\ queries)\b
      | \b(?:write|suggest|generate|propose|provide)\b[^.\n]{{0,60}}\bfollow[- ]?ups?\b | \b(?:generate|suggest)\b[^.\n]{{0,40}}\btags\b
      | \b(?:summari[sz]e|summary\ of|recap)\b[^.\n]{{0,40}}\b{_TALK}\b
      | \b(?:write|generate|create|suggest|provide)\b[^.\n]{{0,40}}\b(?:commit\ message|branch\ name|emoji\ (?:for|that)|search\ quer(?:y|ies))\b
      | \b(?:indicates?|is)\ a\ new\ (?:conversation\ )?topic\b
    """
)
"""What clients ask by themselves about a conversation, whose questions are not to be answered: titles, tags, follow-ups, commit messages."""

WRITING = re.compile(
    r"""^\W{0,4}(?:(?:please|kindly|can\ you|could\ you|now|i\ want\ you\ to|i['’]d\ like\ you\ to)[,:]?\s){0,2}
        (?:write|compose|draft|create|generate|translate|rewrite|rephrase|paraphrase)\s(?!["'“`(\d$\\-]|yes\b|no\b|true\b|the\ (?:letter|number
          |answer|word|label)\b)""",
    _FLAGS,
)
"""Something is to be written, whatever words it is to hold."""

_TRANSFORM = re.compile(
    r"""^\W{0,4}(?:(?:please|can\ you|could\ you|kindly|bitte)[,:]?\s{1,3}){0,2}
        (?:summari[sz]e|translate|proofread|rewrite|rephrase|paraphrase|edit|improve|correct|shorten|make\ (?:this|it|that)\ \w{4,12}
          |(?:draft|write|compose)\ (?:an?\ |the\ )?(?:reply|response|answer)
          |fasse|übersetze?|tradui\w{1,3}|résume\w{0,2}|traduc\w{1,3}|переведи\w{0,2})\b""",
    _FLAGS,
)
_TEXT_BEGINS = re.compile(r":\s|\n\s{0,3}\n")
_CONDITION = re.compile(
    r"\b(?:if|when|whenever|unless|where)\b|^\W{0,4}(?:how|why|what|wie|warum|comment|cómo|как|怎么|如何)\b[^\n]*[?？]", re.IGNORECASE
)
_CODE_SIGNS = re.compile(r"[(=`]")


def shortened(text: str) -> str:
    """A prompt's head and tail, where its instructions stand."""
    text = text.strip()
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}"


def standing(instructions: str) -> str:
    """What instructions say of every answer: without what holds only for some questions; nothing of those that describe an assistant at length."""
    return "" if len(instructions) > LONG else _SOMETIMES.sub("", instructions)


def is_code(text: str) -> bool:
    """Whether code is wanted, or shown."""
    return CODE.search(text) is not None or SHOWN.search(text) is not None


def words_about(text: str) -> str:
    """A text without the code that stands in it."""
    return _CODE_LINES.sub("", _FENCED.sub("", text))


def own(question: str) -> str:
    """The user's own words: without the text that is to be summarised, translated or corrected, whose questions are not the user's."""
    begins = _TEXT_BEGINS.search(question) if _TRANSFORM.search(question) else None
    return question[: begins.start()] if begins else question


def is_json(text: str) -> bool:
    """Whether JSON is asked for, and not on a condition."""
    return any(not _CONDITION.search(_sentence(text, match)) for match in JSON.finditer(text))


def is_literal(question: str) -> bool:
    """Whether the value of a piece of code is asked for, and the code is there."""
    return LITERAL.search(question) is not None and _CODE_SIGNS.search(question) is not None


def _sentence(text: str, match: re.Match[str]) -> str:
    start = max(text.rfind(end, 0, match.start()) for end in (".", "\n"))
    return text[start + 1 :][:500].partition("\n")[0].partition(". ")[0]


def answer_field(text: str) -> bool:
    """Whether the prompt shows a JSON form whose field `answer` holds what counts, the rest being reasons."""
    return _ANSWER_FIELD.search(text) is not None and all(_REASONS.search(match[1]) for match in _OTHER_FIELD.finditer(text))
