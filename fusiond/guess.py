"""What a model's name gives away where nobody says it: family, size, and whether it thinks before it answers.

Names as they are written in practice: `qwen3:8b`, `meta-llama/llama-3.3-70b-instruct:free`, `hf.co/unsloth/gemma-3-27b-it-GGUF:Q4_K_M`,
`SmolLM2-135M-Instruct.Q4_1.gguf`.
"""

from __future__ import annotations

import re

DEFAULT_SIZE = 8.0
"""Billions of parameters where neither the server nor the name tells: the size of a common local model."""

_FAMILY = re.compile(r"[a-z]+")
_MIXTURE = re.compile(r"(?<![a-z0-9])(\d+)x(\d+(?:\.\d+)?)b(?![a-z0-9])")
_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+(?:\.\d+)?)b|(\d{2,})m)(?![a-z0-9])")  # "1m" is a context's length
_REASONER = re.compile(r"(?<![a-z0-9])(?:r1|qwq|o[134]|qwen3|gpt-oss|magistral|think(?:ing)?|reason(?:ing|er)?)(?![a-z])|deepseek-r\d|gpt-5")


def family(model: str) -> str:
    """The first word of the name proper: `qwen3:8b` is a `qwen`."""
    found = _FAMILY.search(_base(model))
    return found.group() if found else model


def size(model: str) -> float | None:
    """Billions of parameters as the name states them; a mixture counts all its experts."""
    name = model.lower()
    if mixture := _MIXTURE.search(name):
        return float(mixture.group(1)) * float(mixture.group(2))
    if found := _SIZE.search(name):
        billions, millions = found.groups()
        return float(billions) if billions else float(millions) / 1000
    return None


def reasoning(model: str) -> bool:
    """Whether models of that name think before they answer."""
    return bool(_REASONER.search(_base(model))) and "instruct" not in model.lower() and "coder" not in model.lower()


def cloud(model: str) -> bool:
    """Whether Ollama has somebody else run a model of that name (`gpt-oss:120b-cloud`)."""
    return model.endswith(("-cloud", ":cloud"))


def _base(model: str) -> str:
    return model.lower().rsplit("/", 1)[-1]
