"""The tables of the records, and what is asked of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal

from pydantic_core import PydanticSerializationError, to_json

from fusiond.report import plain
from fusiond.store.database import Schema, Table, Value

SCHEMA = Schema(
    version=1,
    create="""
CREATE TABLE requests (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  time INTEGER NOT NULL,
  model TEXT NOT NULL,        -- as the client asked
  fusion TEXT,
  strategy TEXT NOT NULL,
  status INTEGER NOT NULL,    -- of HTTP
  decision TEXT,
  confidence REAL,
  agreement REAL,
  key TEXT,
  degraded TEXT NOT NULL,     -- JSON
  privacy TEXT NOT NULL,
  error TEXT,
  milliseconds REAL NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cost_usd TEXT NOT NULL,     -- in plain decimal digits, as is saved_usd
  saved_usd TEXT NOT NULL,
  members TEXT NOT NULL,      -- JSON
  prompt TEXT,
  answer TEXT
) STRICT;
-- Every filter is decided in this one index, without a look at the row: 10 ms of processor for 100,000 rows of which none fits.
CREATE INDEX requests_by_time ON requests (time, number, model, fusion, status);
CREATE TABLE egress (
  number INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,      -- when it was about to leave
  request_id TEXT,
  member TEXT,
  host TEXT NOT NULL,
  bytes_sent INTEGER NOT NULL,
  bytes_received INTEGER NOT NULL
) STRICT;
CREATE INDEX egress_by_time ON egress (time, number, request_id);
""",
    holds="every request that was recorded",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """What became of a request. `time`: seconds since 1970; `key`: the one that stands; `error`: its code; texts only where they are to be kept.

    A member has `member, sample, role, place, status, key, first_token_ms, total_ms, prompt_tokens, completion_tokens, cost_usd` (a decimal string)
    and `error`.
    """

    id: str
    time: float
    model: str
    fusion: str | None
    strategy: str
    status: int
    decision: str | None
    confidence: float | None
    agreement: float | None
    key: str | None
    degraded: tuple[str, ...]
    privacy: str
    error: str | None
    milliseconds: float
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal
    saved_usd: Decimal
    members: tuple[Mapping[str, str | int | float | None], ...]
    prompt: str | None = None
    answer: str | None = None


ALL = tuple(field.name for field in fields(RequestRow))
FACTS = ALL[: ALL.index("prompt")]
ROUTE = ("time", "request_id", "member", "host", "bytes_sent", "bytes_received")

REQUESTS = Table("requests", ("number", *ALL))
EGRESS = Table("egress", ("number", *ROUTE))
LAST = "SELECT max((SELECT coalesce(max(number), 0) FROM requests), (SELECT coalesce(max(number), 0) FROM egress))"
ONE_REQUEST = f"SELECT {', '.join(ALL)} FROM requests WHERE id = ?"  # noqa: S608
PLACE = "SELECT time, number FROM requests WHERE id = ?"
SOME_REQUESTS = f"""SELECT time, number, {", ".join(FACTS)} FROM requests
WHERE (time, number) < (?1, ?2) AND time >= ?3 AND (?4 IS NULL OR model = ?4) AND (?5 IS NULL OR fusion = ?5) AND (?6 IS NULL OR status = ?6)
ORDER BY time DESC, number DESC LIMIT ?7"""  # noqa: S608
SOME_EGRESS = f"""SELECT time, number, {", ".join(ROUTE)} FROM egress
WHERE (time, number) < (?1, ?2) AND (?3 IS NULL OR request_id = ?3) ORDER BY time DESC, number DESC LIMIT ?4"""  # noqa: S608
OLD = "SELECT EXISTS (SELECT 1 FROM {table} WHERE time < ?)"
PRUNE = "DELETE FROM {table} WHERE number IN (SELECT number FROM {table} WHERE time < ? LIMIT ?)"


def values(row: RequestRow) -> tuple[Value, ...]:
    """In the order of the columns."""
    return (
        row.id,
        milliseconds(row.time),
        row.model,
        row.fusion,
        row.strategy,
        row.status,
        row.decision,
        row.confidence,
        row.agreement,
        row.key,
        _json(row.degraded),
        row.privacy,
        row.error,
        row.milliseconds,
        row.prompt_tokens,
        row.completion_tokens,
        plain(row.cost_usd),
        plain(row.saved_usd),
        _json(row.members),
        row.prompt,
        row.answer,
    )


def _json(value: object) -> str:
    """Half of a surrogate pair, which members do send, is escaped; only the slower way can do that."""
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return json.dumps(value)


def milliseconds(seconds: float) -> int:
    """Whole ones."""
    return round(seconds * 1000)
