"""Keys of recorded replies of real models, against the keys that came with the recordings.

Runs where FUSIOND_EVAL_DATA names the folder of the recordings. Two keys agree when they group the replies to a question alike:
each recorded key is matched with one of ours, and none of ours with two of them.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fusiond.chat import Message, Request, TextPart
from fusiond.keys import key, wanted

FOLDER = os.environ.get("FUSIOND_EVAL_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="FUSIOND_EVAL_DATA names no folder of recorded answers")

SETS = [
    # file, start of the ids, kinds, least share of right keys, most keys where none was recorded, least share of requests of these kinds
    ("zeroeval_gsm8k_crux", "zeroeval/gsm8k/", {"number"}, 0.99, 0.001, 0.99),
    ("zeroeval_gsm8k_crux", "zeroeval/crux-o/", {"text"}, 0.99, 0.005, 1.0),
    ("reasoning_gym", "rg/", {"number", "text", "boolean", "label"}, 0.99, 0.001, 1.0),
    # One reply in a hundred names several letters at once, which is no vote here; a few more state an answer twice, and the last stands here.
    ("mmlu_pro", "mmlupro/", {"choice"}, 0.983, 0.002, 1.0),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("measured", SETS, ids=[ids.rstrip("/") for _, ids, *_ in SETS])
def test_recorded_replies_get_their_keys(measured: tuple[str, str, set[str], float, float, float]) -> None:
    """The kind is told from the request, nearly every recorded key is found, and hardly any is found where none was recorded."""
    file, ids, kinds, right, extra, told = measured
    seen, asked = counted(file, ids)
    keyed = seen["right"] + seen["other"] + seen["missing"]
    assert sum(asked[kind] for kind in kinds) >= told * asked.total(), asked
    assert seen["right"] >= right * keyed, seen
    assert seen["extra"] <= extra * seen.total(), seen


@pytest.mark.timeout(240)
def test_all_recorded_replies_together() -> None:
    """Ninety-nine of a hundred recorded keys are found, and at most one reply in two hundred gets a key that was not recorded."""
    seen = sum((counted(file, ids)[0] for file, ids, *_ in SETS), start=Counter())
    assert seen["right"] >= 0.99 * (seen["right"] + seen["other"] + seen["missing"]), seen
    assert seen["extra"] <= 0.005 * seen.total(), seen


@cache
def counted(file: str, ids: str) -> tuple[Counter[str], Counter[str]]:
    """How the replies of a set compare, and how many requests want which kind."""
    seen: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for record in records(file, ids):
        want = wanted(request(record))
        asked["" if want is None else want.kind] += 1
        replies = {model: answer["text"] for model, answer in record["answers"].items() if "text" in answer}
        ours = {model: None if want is None else key(want, text) for model, text in replies.items()}
        seen.update(compared(ours, {model: recorded(record["id"], text) for model, text in replies.items()}))
    return seen, asked


def records(file: str, ids: str) -> Iterator[dict[str, Any]]:
    """The records of a file whose ids start so."""
    with gzip.open(Path(FOLDER or "") / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["id"].startswith(ids):
                yield record


def request(record: Mapping[str, Any]) -> Request:
    """The request as it was recorded."""
    turns = [("system", record.get("system")), ("user", record["question"])]
    messages = tuple(Message(role=role, parts=(TextPart(text=text),)) for role, text in turns if text)  # type: ignore[arg-type]
    return Request(id=record["id"], model="m", messages=messages)


def recorded(name: str, text: str) -> str | None:
    """The key that the recordings' own reader gives a reply."""
    found: str | None = _reader().key(name, text)
    return found


def compared(ours: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> Counter[str]:
    """How many replies have the right key, another, none, or one where none was recorded."""
    pairs = Counter((theirs[model], ours[model]) for model in ours if ours[model] is not None and theirs[model] is not None)
    match: dict[str | None, str | None] = {}
    for (their, our), _ in sorted(pairs.items(), key=lambda pair: (-pair[1], str(pair[0]))):
        if their not in match and our not in match.values():
            match[their] = our
    seen: Counter[str] = Counter()
    for model, our in ours.items():
        their = theirs[model]
        if their is None:
            seen["none" if our is None else "extra"] += 1
        else:
            seen["missing" if our is None else "right" if match.get(their) == our else "other"] += 1
    return seen


_READERS: list[Any] = []


def _reader() -> Any:
    if not _READERS:
        spec = importlib.util.spec_from_file_location("answer_keys", Path(FOLDER or "") / "answer_keys.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _READERS.append(module)
    return _READERS[0]
