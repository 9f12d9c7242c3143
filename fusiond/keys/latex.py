r"""LaTeX read as plain text where it means the same: `\text{}`, `\left`, thin spaces, `\frac12`, `\times`, dollar signs.

Nothing is computed: two formulas are the same when they are written the same after this.
"""

from __future__ import annotations

import re

_WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|operatorname|mbox|boxed|fbox|emph)\s{0,3}\{([^{}]{0,2000})\}")
_SPACING = re.compile(r"\\(?:[!,;: ]|left(?![a-z])|right(?![a-z])|(?:quad|qquad|displaystyle|limits)(?![a-z]))")
_DELIMITERS = re.compile(r"\\[()\[\]]|\$\$?(?!\d)|(?<!\d)\$(?=\s{0,2}\\)|\$(?=\s{0,2}[-\d.,]{1,40}\s{0,2}\$)")
_DEGREES = re.compile(r"\^\s{0,2}\{?\s{0,2}\\circ\s{0,2}\}?")
_NAMES = {
    "\\dfrac": "\\frac",
    "\\tfrac": "\\frac",
    "\\cfrac": "\\frac",
    "\\times": "×",
    "\\cdot": "·",
    "\\approx": "≈",
    "\\%": "%",
    "\\$": "$",
    "\\pm": "±",
    "\\leq": "≤",
    "\\geq": "≥",
    "\\le ": "≤ ",
    "\\ge ": "≥ ",
    "\\infty": "∞",
    "\\pi": "π",
    "{,}": ",",
    "\\{": "{",
    "\\}": "}",
    "\\_": "_",
    "\\#": "#",
    "\\&": "&",
    "~": " ",
}


_MATHS = re.compile(r"\$\$?(?=[^$\n]{0,300}[\\^_{=])([^$\n]{1,2000})\$\$?")


def unlatex(text: str) -> str:
    """`text` with its LaTeX written plainly."""
    if "\\" not in text and "$" not in text and "{,}" not in text:
        return text
    text = _MATHS.sub(r"\1", text)
    for _ in range(3):
        text = _WRAPPED.sub(r"\1", text)
    text = _DELIMITERS.sub("", _DEGREES.sub("°", _SPACING.sub(" " if "\\ " in text or "\\quad" in text else "", text)))
    for name, plainly in _NAMES.items():
        text = text.replace(name, plainly)
    return text.strip()
