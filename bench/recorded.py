"""Recorded answers of real models to the questions of public benchmarks, in the folder that FUSIOND_EVAL_DATA names; its README has the format.

Five sets, each with the models that were asked in it: those that cost nothing, the leading one first, and the paid ones, the cheap one first.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

FOLDER = os.environ.get("FUSIOND_EVAL_DATA")

SONNET, MINI = "claude-3-5-sonnet-20241022", "gpt-4o-mini-2024-07-18"
SIZES = {"phi-3.5-mini-instruct": 3.8, "mistral-nemo-instruct-2407": 12.0}
"""Billions of parameters, where a model's name does not tell."""

PRICES = {
    "gpt-4o-2024-08-06": (Decimal("2.5"), Decimal(10)),
    MINI: (Decimal("0.15"), Decimal("0.6")),
    SONNET: (Decimal(3), Decimal(15)),
    "claude-sonnet-4": (Decimal(3), Decimal(15)),
    "gemini-1.5-pro-002": (Decimal("1.25"), Decimal(5)),
    "gemini-1.5-flash-002": (Decimal("0.075"), Decimal("0.3")),
    "llama-4-maverick": (Decimal("0.27"), Decimal("0.85")),
}
"""USD per million tokens, of prompts and answers."""

Record = Mapping[str, Any]
"""One question, with every model's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """One set: its name, its file, the start of its ids, and who is asked. `texts`: whether more than the keys of the answers is kept."""

    name: str
    file: str
    ids: str
    free: tuple[str, ...]
    escalate: tuple[str, str]
    texts: bool = True

    @property
    def strongest(self) -> str:
        """The dearest of those who may be paid."""
        return self.escalate[-1]

    def records(self) -> Iterator[Record]:
        """Its questions, in the order of the file. Raises FileNotFoundError where the folder has no such file."""
        with gzip.open(Path(FOLDER or "") / f"{self.file}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if record["id"].startswith(self.ids):
                    yield record


SETS = (
    Recordings(
        name="gsm8k",
        file="zeroeval_gsm8k_crux",
        ids="zeroeval/gsm8k/",
        free=("gemma-2-27b-it", "gemma-2-9b-it", "phi-3.5-mini-instruct", "mistral-nemo-instruct-2407"),
        escalate=(MINI, SONNET),
    ),
    Recordings(
        name="crux-o",
        file="zeroeval_gsm8k_crux",
        ids="zeroeval/crux-o/",
        free=("qwen2.5-32b-instruct", "qwen2.5-7b-instruct", "gemma-2-27b-it", "gemma-2-9b-it"),
        escalate=(MINI, "gpt-4o-2024-08-06"),
    ),
    Recordings(
        name="math-l5",
        file="zeroeval_math_l5_facts",
        ids="zeroeval/math-l5/",
        free=("qwen2.5-32b-instruct", "qwen2.5-7b-instruct", "qwen2.5-3b-instruct", "llama-3.1-8b-instruct"),
        escalate=(MINI, SONNET),
        texts=False,
    ),
    Recordings(
        name="mmlu-pro",
        file="mmlu_pro",
        ids="mmlupro/",
        free=("llama-3.1-70b-instruct", "mixtral-8x7b-instruct", "llama-3.1-8b-instruct", "mathstral-7b"),
        escalate=("gemini-1.5-flash-002", "gemini-1.5-pro-002"),
    ),
    Recordings(
        name="reasoning-gym",
        file="reasoning_gym",
        ids="rg/",
        free=("qwq-32b", "llama-3.3-70b-instruct", "gemma-3-27b-it", "mistral-small-3.1-24b-instruct"),
        escalate=("llama-4-maverick", "claude-sonnet-4"),
    ),
)


def price(member: str, answer: Mapping[str, Any], length: float) -> Decimal:
    """USD for the prompt of this answer and so many tokens."""
    per_prompt, per_answer = PRICES[member]
    return (per_prompt * int(answer["prompt_tokens"]) + per_answer * Decimal(length)) / 1_000_000


def options(record: Record) -> int:
    """How many letters a question offers; 0: it is an open one."""
    _, offered, listed = record["question"].rpartition("\nOptions:\n")
    return len(re.findall(r"^[A-J]\. ", listed, re.MULTILINE)) if offered and record["id"].startswith("mmlupro/") else 0
