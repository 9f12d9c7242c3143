"""Refusals and hedges: answers that say that there is no answer, in whatever kind it was wanted.

Only a whole answer region that opens like one counts, so that "unknown" in the middle of a reason does not.
"""

from __future__ import annotations

import re

_REFUSAL = re.compile(
    r"""^\W{0,8}(?:
        (?:i(?:['’]m|\ am)\ )?(?:sorry|afraid|unable|not\ (?:sure|certain|able|allowed))\b
      | (?:i|we|it|this|that|the\ answer)\ (?:(?:really|just|honestly)\ )?(?:do\ not|don['’]?t|can\ ?not|can['’]?t|could\ not|couldn['’]?t|
        am\ unable|won['’]?t)\b
      | (?:(?:as|i\ am|i['’]m)\ an?\ (?:ai|large\ language)\b)
      | (?:can\ ?not|can['’]?t|could\ not|unable\ to)\ (?:be\ )?(?:\w+ly\ )?(?:determine|answer|say|tell|know|find|solve|calculate|decide|
        conclude|provide|help)
      | (?:there\ is\ )?(?:not\ enough|insufficient)\ (?:information|data|evidence|context)
      | (?:none\ of\ (?:the|these)|not\ (?:listed|provided|given|available|applicable|enough))\b
      | (?:unknown|unclear|undetermined|indeterminate|undecidable|n/?a|null|nil|no\ answer|no\ idea|it\ depends|depends)\W{0,8}$
      | (?:ich\ wei(?:ß|ss)\ (?:es\ )?nicht|je\ ne\ sais\ pas|no\ (?:lo\ )?s[eé]\b|não\ sei|non\ (?:lo\ )?so)
      | (?:не\ знаю|нет\ (?:данных|ответа|информации)|لا\ (?:أعرف|أعلم))
      | (?:我不知道|不知道|没有足够|无法(?:确定|回答)|わかりません|分かりません|모르겠)
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def refuses(region: str) -> bool:
    """Whether this answer region declines to answer."""
    return _REFUSAL.match(region.strip()[:400]) is not None
