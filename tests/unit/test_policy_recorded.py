"""The cascade over recorded answers of real models: better than always asking the strongest, at a fraction of its cost.

Runs where FUSIOND_EVAL_DATA names the folder of the recordings. Keys and their truth are those that came with the recordings.
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

import pytest

from fusiond import guess
from fusiond.policy.belief import Model, Voter, verdict
from fusiond.policy.lookahead import next_call
from fusiond.policy.traffic import Heard, Traffic, expected_length, rank, strongest, tolls, usual_prices

FOLDER = os.environ.get("FUSIOND_EVAL_DATA")
pytestmark = [pytest.mark.skipif(not FOLDER, reason="FUSIOND_EVAL_DATA names no folder of recorded answers"), pytest.mark.timeout(120)]

THRIFT = 0.12
SONNET, MINI = "claude-3-5-sonnet-20241022", "gpt-4o-mini-2024-07-18"
SIZES = {"phi-3.5-mini-instruct": 3.8, "mistral-nemo-instruct-2407": 12.0}  # their names do not tell
PRICES = {  # USD per million tokens, of prompts and answers
    "gpt-4o-2024-08-06": (Decimal("2.5"), Decimal(10)),
    MINI: (Decimal("0.15"), Decimal("0.6")),
    SONNET: (Decimal(3), Decimal(15)),
    "claude-sonnet-4": (Decimal(3), Decimal(15)),
    "gemini-1.5-pro-002": (Decimal("1.25"), Decimal(5)),
    "gemini-1.5-flash-002": (Decimal("0.075"), Decimal("0.3")),
    "llama-4-maverick": (Decimal("0.27"), Decimal("0.85")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """One set: its file, the start of its ids, and who is asked, the leading local first."""

    file: str
    ids: str
    free: tuple[str, ...]
    escalate: tuple[str, ...]


SETS = (
    Recordings(
        file="zeroeval_gsm8k_crux",
        ids="zeroeval/gsm8k/",
        free=("gemma-2-27b-it", "gemma-2-9b-it", "phi-3.5-mini-instruct", "mistral-nemo-instruct-2407"),
        escalate=(MINI, SONNET),
    ),
    Recordings(
        file="zeroeval_gsm8k_crux",
        ids="zeroeval/crux-o/",
        free=("qwen2.5-32b-instruct", "qwen2.5-7b-instruct", "gemma-2-27b-it", "gemma-2-9b-it"),
        escalate=(MINI, "gpt-4o-2024-08-06"),
    ),
    Recordings(
        file="zeroeval_math_l5_facts",
        ids="zeroeval/math-l5/",
        free=("qwen2.5-32b-instruct", "qwen2.5-7b-instruct", "qwen2.5-3b-instruct", "llama-3.1-8b-instruct"),
        escalate=(MINI, SONNET),
    ),
    Recordings(
        file="mmlu_pro",
        ids="mmlupro/",
        free=("llama-3.1-70b-instruct", "mixtral-8x7b-instruct", "llama-3.1-8b-instruct", "mathstral-7b"),
        escalate=("gemini-1.5-flash-002", "gemini-1.5-pro-002"),
    ),
    Recordings(
        file="reasoning_gym",
        ids="rg/",
        free=("qwq-32b", "llama-3.3-70b-instruct", "gemma-3-27b-it", "mistral-small-3.1-24b-instruct"),
        escalate=("llama-4-maverick", "claude-sonnet-4"),
    ),
)


def test_better_than_the_strongest_at_two_fifths_of_its_cost() -> None:
    """Over five sets that weigh the same: at least a point more than the strongest alone gets right, for at most 42% of what it costs."""
    results = {each.ids: replayed(each) for each in SETS}
    gain = sum(gained for gained, _ in results.values()) / len(results)
    cost = sum(spent for _, spent in results.values()) / len(results)
    assert gain >= 1.0, results
    assert cost <= 42.0, results


def replayed(recordings: Recordings) -> tuple[float, float]:
    """Points of accuracy above the strongest alone, and the cost in percent of asking it always."""
    traffic = Traffic()
    gained, spent, always = 0, Decimal(0), Decimal(0)
    records = list(records_of(recordings))
    for record in records:
        answers = record["answers"]
        traffic, key, paid = cascaded(recordings, record, traffic)
        dearest = recordings.escalate[-1]
        gained += is_right(key, answers) - answers[dearest]["correct"]
        spent += paid
        always += price(dearest, answers[dearest], answers[dearest]["completion_tokens"])
    return 100 * gained / len(records), 100 * float(spent / always)


def cascaded(recordings: Recordings, record: Mapping[str, Any], traffic: Traffic) -> tuple[Traffic, str | None, Decimal]:
    """One request: what is remembered after it, the key that stands, and what was paid."""
    answers = record["answers"]
    lead = answers[recordings.free[0]]["completion_tokens"]
    length = expected_length(traffic, lead)
    prices = {member: price(member, answers[member], length) for member in recordings.escalate}
    panel = voters(recordings, usual_prices(traffic, prices))
    due = tolls(THRIFT, prices, traffic)
    votes = {voter: answers[voter.name]["extracted"] for voter in panel if not voter.paid}
    lengths: dict[str, int] = {}
    while (voter := next_call(Model(), panel, votes, due, options(record))) is not None:
        votes[voter] = answers[voter.name]["extracted"]
        lengths[voter.name] = answers[voter.name]["completion_tokens"]
    paid = sum((price(member, answers[member], tokens) for member, tokens in lengths.items()), Decimal(0))
    key = verdict(Model(), panel, votes, options(record)).key
    return traffic.after(Heard(lead=lead, lengths=lengths, prices=prices)), key, paid


def records_of(recordings: Recordings) -> Iterator[dict[str, Any]]:
    """The records of a set."""
    with gzip.open(Path(FOLDER or "") / f"{recordings.file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["id"].startswith(recordings.ids):
                yield record


def voters(recordings: Recordings, usual: Mapping[str, float]) -> list[Voter]:
    """The panel: the free ones by what their names tell, the paid ones by what they usually cost."""
    dearest = usual[strongest(usual)]
    free = [
        Voter(name=name, size=SIZES.get(name) or guess.size(name) or guess.DEFAULT_SIZE, reasoning=guess.reasoning(name)) for name in recordings.free
    ]
    return [*free, *(Voter(name=name, paid=True, rank=rank(usual[name], dearest)) for name in recordings.escalate)]


def price(member: str, answer: Mapping[str, Any], length: float) -> Decimal:
    """USD for this prompt and an answer of so many tokens."""
    per_prompt, per_answer = PRICES[member]
    return (per_prompt * int(answer["prompt_tokens"]) + per_answer * Decimal(length)) / 1_000_000


def options(record: Mapping[str, Any]) -> int:
    """How many letters a question offers; 0: it is an open one."""
    _, offered, listed = record["question"].rpartition("\nOptions:\n")
    return len(re.findall(r"^[A-J]\. ", listed, re.MULTILINE)) if offered and record["id"].startswith("mmlupro/") else 0


def is_right(key: str | None, answers: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether an answer with that key was marked as right."""
    return key is not None and any(answer["correct"] for answer in answers.values() if answer["extracted"] == key)
