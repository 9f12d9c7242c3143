"""The words by which requests say what they want, in several languages where that is cheap.

Patterns only. They repeat within bounds, so that a hostile prompt costs no more than its length; of a very long one only the
head and the tail are searched.
"""

from __future__ import annotations

import re

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

LETTER = re.compile(
    r"""\b(?:correct|option|answer|choice|right)\ letter\b
      | \bletter\ (?:only|choice|of\ (?:the|your)\ (?:\w{1,12}\ ){0,2}(?:option|answer|choice|statement)|corresponding\ to)
      | \b(?:buchstaben?\ (?:der|des)\ (?:richtigen|korrekten)|lettre\ (?:de\ la|correspond)|letra\ (?:de\ la|correcta|correspond))
      | \b(?:answer|respond|reply|give|output|return|provide|only|just|antworte\w{0,2}|réponds|répondez|responde|
        gib)\b[^.\n]{0,40}\b(?:the\ letter|a\ (?:single\ )?letter|one\ letter|letter\ only|single\ letter|option\ letter|buchstaben|la\ lettre|
          la\ letra)\b
      | \b(?:is\ an?|this|the|following|one)\ (?:\w{1,12}\ )?multiple[- ]choice\ (?:question|problem|exam|test|quiz)\b
      | только\ букв|одной\ буквой|букву\ ответа | 选项字母|只(?:需)?(?:回答|输出|给出)(?:选项|字母) | 選択肢の(?:記号|文字)|記号で答え""",
    _FLAGS,
)
"""The answer is to be a letter."""

CHOOSING = re.compile(
    r"""[?？] | \b(?:which|choose|select|pick|options?|choices?|correct|answer|following|welche\w?|wähle|quel\w{0,3}|cu[aá]l|какой|какая|"
    r"выберите)\b | 哪|选择|選び|どれ | _{2,} | :\s{0,3}\n""",
    _FLAGS,
)
"""The options are there to choose from."""

BOOLEAN = re.compile(
    r"""\b(?:yes|true)["'`*]{0,2}\s?(?:/|\bor\b|\|)\s?["'`*]{0,2}(?:no|false)\b(?!\W{0,3}questions)
      | \breturn\ ["'`]?(?:true|yes)["'`]?\ (?:if|when)\b
      | \bja["'`]?\s?(?:/|oder)\s?["'`]?nein\b | \b(?:wahr|richtig)\s?(?:/|oder)\s?falsch\b
      | \boui["'`]?\s?(?:/|ou)\s?["'`]?non\b | \bvrai\s?(?:/|ou)\s?faux\b
      | \bs[ií]["'`]?\s?(?:/|o)\s?["'`]?no\b | \bverdadero\s?(?:/|o)\s?falso\b
      | \bда["'`]?\s?(?:/|или)\s?["'`]?нет\b
      | (?:回答|答|用)[^。\n]{0,6}(?:是或否|是还是否|是或不是|对或错|是/否|“是”或“否”)
      | 是否 | はいかいいえ|「?はい」?[かまたは/]{1,3}「?いいえ | 예\s?(?:또는|/)\s?아니""",
    _FLAGS,
)
"""The answer is to be yes or no, true or false."""

JSON = re.compile(
    r"""\b(?:return|respond|reply|output|answer|give|produce|format|provide|present|generate|extract|convert|emit|print|as|in|into|valid|only|"
    r"with|a|antworte)\b[^.\n]{0,60}\bjson\b(?!\s?(?:files?|parser|schema|library|web|api|lines|to|into)\b)""",
    _FLAGS,
)
"""The answer is to be a JSON document."""

ONLY_NUMBER = re.compile(
    r"""\b(?:answer|respond|reply|output|return|give|provide|express|write|state|report|final|single|only|just)\b[^.\n]{0,50}
        \b(?:(?:a|an|the|as|with|only|just|single|one)\ (?:[a-z]{1,12}\ ){0,2}(?:number|integer|numeral|digit|decimal)|numeric(?:al)?\ (?:value|
          answer|result)|numbers?\ only|number\ of\b)
        (?!s)(?!\ (?:for|in|on|at)\ (?:each|every)|\ of\ (?:each|every)|-separated|ed\b|\ list|\ sequence)
      | \b(?:round|rounded)\b[^.\n]{0,40}\b(?:decimal|integer|nearest|places?)\b
      | \b(?:output|answer|respond\ with|reply\ with|return|print)\ ["'`]?\d["'`]?\ (?:for|if|when)\b
      | \bas\ an?\ (?:integer|decimal|percentage|fraction|number)\b
      | \bnur\ (?:die|mit\ (?:der|einer))\ (?:zahl|ziffer)|\bals\ zahl\b | \bseulement\ (?:le|un)\ nombre\b|\ble\ nombre\ seul | \bs[oó]lo\ (?:el|
        con\ un|un)\ n[uú]mero\b
      | только\ (?:число|цифр) | 只(?:需)?(?:回答|输出|给出)(?:数字|一个数)|数字のみ|数字だけ|数値のみ|숫자만""",
    _FLAGS,
)
"""The answer is to be a number."""

NUMBER = re.compile(
    r"""\bhow\ (?:many|much|old|tall|far|fast|heavy|deep|wide|long|big|large|high|hot|cold|often)\b
        (?![^?\n]{0,40}\bshould\ (?:i|we)\b)(?!\ (?:do\ you|should\ (?:i|we|you)|can\ (?:i|we|you))\b)
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
      | (?:^|\n)\s{0,4}[-(\s\d.,+*/^×÷]{3,80}=\s{0,3}[?]?\s{0,3}$ | (?:-?\d{1,12}\s{0,2},\s{0,2}){3,30}(?:\?|_{1,4}|\.\.\.)
      | \b(?:minimum|maximum|total)\ number\ of\b
      | \bwie\ ?viele?\b|\bwie\ (?:alt|hoch|weit|lang|groß|teuer)\ (?:ist|sind|war)\b|\bberechne\w?\b|\bwas\ (?:ist|ergibt)\ -?\d
      | \bcombien\b|\bcalcule[rz]?\b | \bcu[aá]nt[oa]s?\b|\bcalcula\b | сколько|вычисли|найдите\ (?:значение|сумму|число)
      | 多少|几(?:个|只|岁|天|次|本|人|元|分|小时|米|种|张)|计算|等于几 | いくつ|いくら|何(?:個|人|本|匹|歳|円|枚|日|時間|回|年)|計算し | 몇|얼마""",
    _FLAGS,
)
"""The question asks for a number."""

_QUANTITY = re.compile(
    r"""\b(?:what(?:['’]s|\ (?:is|was|are|will\ be|would\ be|were|does))|find|determine|evaluate|give|state)[ ]
        (?:(?:the|its|his|her|their|half|your|my|[A-Z]\w{0,20}['’]s|a)\ )?(?:[\w'’-]{1,20}\ ){0,4}
        (?:sum|total|number|count|average|mean|median|mode|amount|cost|price|profit|difference|product|quotient|remainder|area|perimeter|volume|
          circumference|radius|diameter|probability|ratio|percentage|percent|
           speed|velocity|distance|age|ages|weight|mass|height|length|width|depth|measure|angle|temperature|value|root|factorial|determinant|salary|
           income|savings|charge|likelihood|chance|interest|discount|score|power|current|voltage|resistance|frequency|minimum|maximum|
             smallest\ (?:positive\ )?(?:integer|number)|largest\ (?:integer|number|prime))\b""",
    _FLAGS,
)
_FIGURES = re.compile(r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|hundred|half|twice|double|triple)\b", re.IGNORECASE)

SEVERAL = re.compile(
    r"""\b(?:each|every|respectively)\b[^?\n]{0,60}[?]\s{0,3}$ | \b(?:counts?|number)\ of\ each\b | \bhow\ many\ of\ each\b
      | \bwhat\ are\ the\ (?:[a-z]{1,12}\ ){0,2}(?:values|numbers|coordinates|roots|solutions|dimensions)\b
      | \b(?:output|answer|result|response)\ (?:should|must|will|has\ to)\ be\ (?:an?\ |the\ )?(?:[\w-]{1,20}\ ){0,2}
        (?:matrix|list|grid|table|array|sequence|tuple|string|set)\b
      | \b(?:return|answer|output|give)\b[^.\n]{0,30}\b(?:as|in)\ a\ (?:[\w-]{1,20}\ )?(?:matrix|list|grid|table|array|tuple)\b""",
    _FLAGS,
)
"""The question asks for several values at once."""

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

CODE = re.compile(
    r"""\b(?:write|implement|create|build|develop|code|refactor|rewrite|fix|debug|complete|optimi[sz]e|port|generate|schreib\w{0,3}|écris|escribe|напиши\w{0,2})\b[^.\n?]{0,80}
        \b(?:function|functions|program|script|class|code|method|module|query|sql|regex|regular\ expression|api|endpoint|test|tests|component|
          algorithm|html|css|funktion|programm|fonction|función|функци\w{1,3}|код|bash|python|javascript)\b
      | \bfix\ (?:this|the|my)\b|\brefactor\b|写(?:一个)?(?:函数|程序|代码)|関数を書|コードを書
      | ^\s{0,4}(?:def|class|function|const|public|import|\#include)[ <] | (?:^|\n)(?:diff\ --git|@@\ -\d)""",
    _FLAGS,
)
"""The request wants code."""

PROSE = re.compile(
    r"""^\W{0,4}(?:(?:please|kindly|hi|hello|hey|now|can\ you|could\ you|would\ you|will\ you
            |i\ (?:want|need|would\ like)\ (?:you\ )?(?:to|a|an)|i['’]d\ like(?:\ you)?(?:\ to)?|help\ me(?:\ to)?
            |let['’]s|you\ are[^.\n]{0,200}\.|bitte)[,:]?\s{1,3}){0,4}
        (?:write|compose|draft|summari[sz]e|explain|describe|translate|rewrite|rephrase|paraphrase|discuss|elaborate|brainstorm|imagine|create|
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

ONLY_TEXT = re.compile(
    r"""\b(?:answer|respond|reply|give|provide|return|output|state|name)\b[^.\n]{0,50}
        \b(?:one|a\ single|single|1|two|a\ few|few|1-3|one-word|\d\ or\ \d)[ -](?:word|words|phrase|name|term)\b
      | \b(?:only|just|nothing\ but)\b[^.\n]{0,20}\b(?:the|a|an|its|his|her|their|with)?\s?(?:full\ |first\ |last\ |exact\ )?(?:name|color|colour|
        city|country|person|word|weekday|place|title|term|entity|person['’]s\ name|answer)\b
      | \bshort\ (?:phrase|answer)\b | \bin\ (?:one|a\ single|1|two|a\ few|at\ most\ \w{1,6})\ words?\b | \bone[- ]word\ answer\b |
        \bas\ (?:briefly|shortly|concisely)\ as\ possible\b | \bno\ explanation\b|\bwithout\ explanation\b
      | \bmit\ einem\ (?:einzigen\ )?wort\b|\bin\ einem\ wort\b|\bnur\ (?:den|der|mit\ dem)\ namen?\b | \ben\ un\ (?:seul\ )?mot\b|
        \buniquement\ le\ nom\b | \ben\ una\ (?:sola\ )?palabra\b|\bs[oó]lo\ el\ nombre\b
      | одним\ словом|только\ (?:имя|название) | 一个词|只(?:需)?(?:回答|输出|给出)(?:名字|名称|答案) | 一言で|単語(?:だけ|のみ)|名前(?:だけ|のみ)""",
    _FLAGS,
)
"""The answer is to be a word or a name."""

_YES_NO = re.compile(
    r"""(?:^|[.!?:\n]\s{0,4})(?!was\ (?:ist|sind|war|hat|kann|bedeutet|heißt)\b)(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|must
        |isn['’]t|aren['’]t|doesn['’]t|ist|sind|war|hat|kann|gibt
        |est-ce\ que|est-ce\ qu['’]|является\ ли|правда\ ли|верно\ ли|¿es|¿son|¿está)[ ]
        (?!(?:you|i|we|it\ (?:ok|okay|possible\ to|worth|better)|there\ (?:a\ way|any\ way|any)|my|your)\b)[^?？\n]{2,240}[?？]\s{0,4}$ | (?:吗|
          嗎)[?？]\s{0,3}$
      | ^(?!.{0,300}(?:どこ|誰|だれ|何|なに|いつ|なぜ|どう|どれ|どの|どちら|いくつ|いくら)).{2,300}(?:ですか|ますか)[?？。]?\s{0,3}$""",
    _FLAGS,
)
_FACT = re.compile(
    r"""^\W{0,4}(?:(?:in|on|at|of|from|to|for)\ )?(?:
        (?:who|whom|whose)\ (?:is|was|were|are|wrote|invented|discovered|painted|composed|directed|founded|created|won|first|became|did|has|
          played|sang|killed|built|designed|developed|said|starred|ruled|led|succeeded|succeeds|formulated|proposed)\b
      | (?:when|where)\ (?:is|was|were|did|are|does|do|will)\b
      | which\ [^\W\d_]{2,20}\b
      | what\ (?:year|day|month|date|country|city|language|planet|element|colou?r|animal|river|ocean|continent|currency|company|weekday|sport|
        metal|gas|organ|color|state|name|word|mountain|island|king|queen|president)\b
      | what(?:['’]s|\ (?:is|was))\ (?:the|a|an)\ (?:[\w'’-]{1,20}\ ){0,3}(?:capital|currency|name|symbol|formula|author|colou?r|language|
        abbreviation|acronym|opposite|antonym|synonym|plural|nickname|title|chemical\ symbol|code|animal|\w{2,12}est)\b
      | what(?:['’]s|\ (?:is|was))\ the\ (?:[\w'’-]{1,20}\ ){0,3}(?:\w{3,12}est|largest|most\ \w{1,20}|first|last|second|third|official|national|
        main|only)\ \w{2,20}\b
      | name\ (?:the|a)\ (?!\w{1,12}s\b)\w{2,20}\b
      | (?:was|wie)\ (?:ist|heißt|lautet)\ (?:die|der|das)\ (?:hauptstadt|währung|name|farbe|symbol)|wer\ (?:hat|war|ist|schrieb|erfand|malte)\b
      | quelle?\ est\ la\ capitale|qui\ (?:a|est|était)\b | ¿?cu[aá]l\ es\ la\ capital|¿?qui[eé]n\ (?:es|fue|escribi[oó]|pint[oó]|invent[oó])\b
      | как(?:ая|ой)\ столица|столица\ |кто\ (?:написал|изобрёл|изобрел|был|такой|открыл|является)\b)
      | 的首都(?:是|在|叫)|是谁|谁(?:写|发明|发现)|の首都(?:は|を)|誰(?:です|が|でしょう)|どこですか
      | ^[^\n_]{8,160}_{2,20}[^\n_]{0,20}$""",
    _FLAGS,
)
_OPEN = re.compile(
    r"\b(?:difference|differences|best|meaning of life|should i|can i|do i|my|why|how (?:do|does|can|to|would|did|is)|advantages|"
    r"and (?:what|who|why|how)|you|benefits|reasons|happens|think|opinion|purpose|role|impact|significance|explain|describe|pros and cons)\b|"
    r"为什么|怎么",
    re.IGNORECASE,
)


_TRANSFORM = re.compile(
    r"""^\W{0,4}(?:(?:please|can\ you|could\ you|kindly|bitte)[,:]?\s{1,3}){0,2}
        (?:summari[sz]e|translate|proofread|rewrite|rephrase|paraphrase|edit|improve|correct|shorten|fasse|übersetze?|tradui\w{1,3}|
        résume\w{0,2}|traduc\w{1,3}|переведи\w{0,2})\b""",
    _FLAGS,
)
_TEXT_BEGINS = re.compile(r":\s|\n\s{0,3}\n")
_CONDITION = re.compile(r"\b(?:if|when|whenever|unless|where)\b", re.IGNORECASE)
_CODE_SIGNS = re.compile(r"[(=`]")
_FRAMED = re.compile(
    r"(?:^|\n)\s{0,3}(?:Question|Q)\s?:\s{0,3}([^\n]{5,200}\?)\s{0,4}(?:\n\s{0,3}(?:Short )?(?:Answer|A)\s?:?\s{0,3})?$", re.IGNORECASE
)


def shortened(text: str) -> str:
    """A prompt's head and tail, where its instructions stand."""
    text = text.strip()
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}"


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


def is_number(question: str) -> bool:
    """Whether the question asks for one number: by its cue, or for a quantity where figures are given."""
    if SEVERAL.search(question):
        return False
    return NUMBER.search(question) is not None or (_QUANTITY.search(question) is not None and _FIGURES.search(question) is not None)


def is_yes_no(question: str) -> bool:
    """Whether a short question that opens with a verb can be answered by yes or no."""
    question = question.strip()
    asked = _YES_NO.search(question[-300:]) if len(question) <= 600 else None
    return asked is not None and not re.search(r"\bor\b|\boder\b|\bou\b|还是", asked[0]) and not _OPEN.search(asked[0])


def is_short_fact(question: str) -> bool:
    """Whether the whole message is one short question for a name, a place, a time or the like."""
    framed = _FRAMED.search(question[-600:])
    question = framed[1] if framed else re.split(r"(?<=[?？])\s", question.strip(), maxsplit=1)[0] if len(question) <= 300 else ""
    return 0 < len(question) <= 200 and len(question.split()) <= 22 and _FACT.search(question) is not None and not _OPEN.search(question)
