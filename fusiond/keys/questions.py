"""What a bare question asks for, by its wording: a number, yes or no, a short fact, an opinion.

Patterns only, as in `cues`; what an instruction says about the answer comes before all of this.
"""

from __future__ import annotations

import re

from fusiond.keys import tongues
from fusiond.keys.patterns import alternation

_FLAGS = re.IGNORECASE | re.VERBOSE

_NUMBER = alternation(
    r"""\bhow\ (?:many|much|old|tall|far|fast|heavy|deep|wide|long|big|large|high|hot|cold|often)\b
        (?![^?\n]{0,40}\bshould\ (?:i|we)\b)(?!\ (?:do\ you(?!\ (?:have|need|get|pay|spend|earn)\b)|have\ you|are\ you|were\ you
          |should\ (?:i|we|you)|can\ (?:i|we|you))\b)
      | \bwhat\ (?:do|does|did|must|will)\ [^.?\n]{1,40}\bpay\b
      | \bwhat(?:['’]s|\ (?:is|was))\ the\ (?:\w{1,20}\ ){0,2}(?:population|square\ root|cube\ root|atomic\ (?:number|mass|weight)|boiling\ point|
        melting\ point|freezing\ point|speed\ of|gcd|lcm|greatest\ common|least\ common|total\ number|number\ of|distance\ (?:from|between)|
          area\ of|height\ of|length\ of|value\ of\ (?:pi|e|[a-z])\b)
      | \bwhat\ (?:percent|percentage|fraction|number|year|integer|age)\b | \b(?:in|during|since)\ (?:what|which)\ year\b | \bwhich\ year\b
      | \b(?:what\ is|what['’]s|calculate|compute|evaluate|simplify|solve)\ [-(\s]{0,8}[\d√]{1,20}[\d.,]{0,20}\s?(?:[-+*/^×÷%!)(]|$|\?|\b(?:plus|
        minus|times|divided|mod|to\ the|squared|cubed|percent|choose)\b)
      | \b(?:calculate|compute)\ (?:the\ |-?\(?\d)(?!(?:\w{1,20}\ ){0,3}(?:matrix|list|vector|string|sequence|values\ of))
      | \bwhat\ is\ [a-z]\b\s?[-+*/^(?.] | \b(?:what\ is|convert)\ \$?\d[\d.,]{0,20}\ [\w°²]{1,20}\ (?:in|to|into)\ \w{1,20}
      | \b(?:find|determine|state|give)\ (?:the\ )?(?:greatest\ common|least\ common|lowest\ common|gcd|lcm|number\ of)\b | \bcount\ the\b
      | \bsolve\ for\ [a-z]\b | \bmultiplication:|\barithmetic\ problem\b | \b(?:count|counting)\ (?:how|the\ number)\b
      | (?:^|\n)\s{0,4}[-()\s\d.,+*/^×÷]{3,80}=\s{0,3}[?]?\s{0,3}$ | \b[a-z]\ ?=\ ?[?]\s{0,3}$
      | ^[-(\s]{0,3}\d[\d\s.,()]{0,20}(?:[+*×÷^]|\s[-/]\s)[-+*/^×÷()\s\d.,]{1,80}$ | (?:-?\d{1,12}\s{0,2},\s{0,2}){3,30}(?:\?
          |_{1,4}|\.\.\.)
      | \b(?:minimum|maximum|total)\ number\ of\b
    """
    + tongues.NUMBER,
)
"""The question asks for a number."""

_QUANTITY = re.compile(
    r"""\b(?:what(?:['’]s|\ (?:is|was|are|will\ be|would\ be|were|does))|find|determine|evaluate|give|state)[ ]
        (?:(?:the|its|his|her|their|half|your|my|[A-Z]\w{0,20}['’]s|a)\ )?(?:[\w'’-]{1,20}\ ){0,4}
        (?:sum|total|number|count|average|mean|median|mode|amount|cost|price|profit
          |difference(?!\ between\ the\ (?:\d{1,3}\ )?[a-z]{3,20}s\ and)|product|quotient|remainder|area|perimeter|volume|
          circumference|radius|diameter|probability|ratio|percentage|percent|
           speed|velocity|distance|age|ages|weight|mass|height|length|width|depth|measure|angle|temperature|value|root|factorial|determinant|salary|
           income|savings|charge|likelihood|chance|interest|discount|score|power|current|voltage|resistance|frequency|minimum|maximum|
             smallest\ (?:positive\ )?(?:integer|number)|largest\ (?:integer|number|prime))\b""",
    _FLAGS,
)
_FIGURES = re.compile(r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|hundred|half|twice|double|triple)\b", re.IGNORECASE)

_SEVERAL = alternation(
    r"""\b(?:list|name)\ (?:them|all)\b | \bwrite\ it\ as\b
      | \brespectively\b[^?\n]{0,60}[?]\s{0,3}$ | \b(?:counts?|number)\ of\ each\b | \bhow\ many\ of\ each\b
      | \bwhat\ are\ the\ (?:[a-z]{1,12}\ ){0,2}(?:values|numbers|coordinates|roots|solutions|dimensions)\b
      | \b(?:output|answer|result|response)\ (?:should|must|will|has\ to)\ be\ (?:an?\ |the\ )?(?:[\w-]{1,20}\ ){0,2}
        (?:matrix|list|grid|table|array|sequence|tuple|string|set)\b
      | \b(?:return|answer|output|give)\b[^.\n]{0,30}\b(?:as|in)\ a\ (?:[\w-]{1,20}\ )?(?:matrix|list|grid|table|array|tuple)\b""",
)
"""The question asks for several values at once."""

_YES_NO = re.compile(
    r"""(?:^|[.!?:\n]\s{0,4})(?!was\ (?:ist|sind|war|hat|kann|bedeutet|heißt)\b)(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|must
        |isn['’]t|aren['’]t|doesn['’]t"""
    + tongues.YES_NO_OPENING
    + r""")[ ]
        (?!(?:you|i|we|it\ (?:ok|okay|possible\ to|worth|better)|there\ (?:a\ way|any\ way|any)|my|your|(?:this|that
          |it)\ (?:\w{1,12}\ )?\w{1,12}(?=[?])"""
    + tongues.PERSONAL
    + r""")\b)[^?？؟\n]{2,240}[?？؟]\s{0,4}$"""
    + tongues.YES_NO,
    _FLAGS,
)
_FACT = re.compile(
    r"""^\W{0,4}(?:(?:in|on|at|of|from|to|for)\ )?(?:
        (?:who|whom|whose)\ (?:is|was|were|are|wrote|invented|discovered|painted|composed|directed|founded|created|won|first|became|did|has|
          played|sang|killed|built|designed|developed|said|starred|ruled|led|succeeded|succeeds|formulated|proposed)\b
      | (?:when|where)\ (?:in\ [\w\ ]{1,30}?\ )?(?:is|was|were|did|are|does|do|will)\b
      | which\ [^\W\d_]{2,20}\b
      | what\ (?:year|day|month|date|country|city|language|planet|element|colou?r|animal|river|ocean|continent|currency|company|weekday|sport|
        metal|gas|organ|color|state|name|word|mountain|island|king|queen|president)\b
      | what(?:['’]s|\ (?:is|was))\ (?:the|a|an)\ (?:[\w'’-]{1,20}\ ){0,3}(?:capital|currency|name|symbol|formula|author|colou?r|language|
        abbreviation|acronym|opposite|antonym|synonym|plural|nickname|title|chemical\ symbol|code|animal|\w{2,12}est|(?:word|term|name)\ for)\b
      | what(?:['’]s|\ (?:is|was))\ the\ (?:[\w'’-]{1,20}\ ){0,3}(?:\w{3,12}est|largest|most\ \w{1,20}|first|last|second|third|official|national|
        main|only)\ \w{2,20}\b
      | name\ (?:the|a)\ (?!\w{1,12}s\b)\w{2,20}\b
    """
    + tongues.FACT_OPENING
    + ")"
    + tongues.FACT
    + r"""
      | ^[^\n_]{8,160}_{2,20}[^\n_]{0,20}$""",
    _FLAGS,
)
_OPEN = re.compile(
    r"\b(?:difference|differences|best|meaning of life|should i|can i|do i|my|why|how (?:do|does|can|to|would|did|is)|advantages|"
    r"and (?:what|who|why|how)|you|benefits|reasons|happens|think|opinion|purpose|role|impact|significance|explain|describe|pros and cons)\b|"
    r"为什么|怎么",
    re.IGNORECASE,
)
PERSONAL = re.compile(
    r"""\b(?:do|would)\ you\ (?:think|prefer|like|feel|recommend)\b | \byour\ (?:opinion|favou?rite)\b | \bshould\ i\b
      | \bwhich\ (?:one\ )?is\ (?:better|nicer|best)\b""",
    _FLAGS,
)
"""An opinion is asked for, which nobody counts."""

_FRAMED = re.compile(
    r"(?:^|\n)\s{0,3}(?:Question|Q)\s?:\s{0,3}([^\n]{5,200}\?)\s{0,4}(?:\n\s{0,3}(?:Short )?(?:Answer|A)\s?:?\s{0,3})?$", re.IGNORECASE
)

_FRAMED_YES_NO = re.compile(
    r"(?:^|\n)\s{0,3}(?:Question|Q)\s?:\s{0,3}((?:is|are|was|were|do|does|did|can|could|will|would|has|have|had|should)\s[^\n?]{3,200}\??)"
    r"\s{0,4}\n\s{0,3}(?:Answer|A)\s?:?\s{0,3}$",
    re.IGNORECASE,
)
"""Below a passage of any length, with a place for the answer."""


def is_number(question: str) -> bool:
    """Whether the question asks for one number: by its cue, or for a quantity where figures are given."""
    if _SEVERAL.search(question):
        return False
    return _NUMBER.search(question) is not None or (_QUANTITY.search(question) is not None and _FIGURES.search(question) is not None)


def is_yes_no(question: str) -> bool:
    """Whether a short question that opens with a verb can be answered by yes or no."""
    question = question.strip()
    short = len(question) <= 600 and question.partition("?")[2].count("?") == 0
    asked = _FRAMED_YES_NO.search(question[-300:]) or (_YES_NO.search(question[-300:]) if short else None)
    return asked is not None and not re.search(r"\bor\b|\boder\b|\bou\b|还是", asked[0]) and not _OPEN.search(asked[0])


def is_short_fact(question: str) -> bool:
    """Whether the whole message is one short question for a name, a place, a time or the like."""
    framed = _FRAMED.search(question[-600:])
    question = framed[1] if framed else re.split(r"(?<=[?？])\s", question.strip(), maxsplit=1)[0] if len(question) <= 300 else ""
    return 0 < len(question) <= 200 and len(question.split()) <= 22 and _FACT.search(question) is not None and not _OPEN.search(question)
