"""The tables of the ledger, and what is asked of them."""

from __future__ import annotations

from typing import NamedTuple

from fusiond.store.amounts import joined
from fusiond.store.database import Table
from fusiond.store.opening import Schema

SCHEMA = Schema(
    version=1,
    create="""
CREATE TABLE calls (
  id INTEGER PRIMARY KEY,
  day TEXT NOT NULL,          -- UTC; of the reservation, then of the settlement
  time REAL NOT NULL,         -- of the reservation, seconds since 1970
  request TEXT NOT NULL,
  fusion TEXT NOT NULL,       -- the model that the client asked for: fusion/NAME, or a member's own name
  member TEXT NOT NULL,
  provider TEXT NOT NULL,
  state TEXT NOT NULL,        -- reserved, settled, or assumed: over, and its bill not known
  nano INTEGER NOT NULL,      -- 1e-9 USD
  atto INTEGER NOT NULL,      -- 1e-18 USD, less than one nano
  generation TEXT             -- the provider's own id of the call
) STRICT;
CREATE INDEX calls_by_day ON calls (day, member, fusion, state, nano, atto);
CREATE TABLE savings (
  request TEXT PRIMARY KEY,
  day TEXT NOT NULL,
  fusion TEXT NOT NULL,
  nano INTEGER NOT NULL,      -- less than nothing where the members asked cost more than the strongest alone
  atto INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX savings_by_day ON savings (day, fusion, nano, atto);
""",
    holds="the record of what was spent",
)


class CallRow(NamedTuple):
    """One paid call, column by column."""

    id: int
    day: str
    time: float
    request: str
    fusion: str
    member: str
    provider: str
    state: str
    nano: int
    atto: int
    generation: str | None

    @property
    def units(self) -> int:
        """1e-18 USD."""
        return joined(self.nano, self.atto)


CALLS = Table("calls", CallRow._fields)
SAVED_BY = Table("savings", ("request", "day", "fusion", "nano", "atto"))

COSTS = """
SELECT day, member, fusion, count(*), sum(nano), sum(atto) FROM calls
WHERE state != 'reserved' AND day >= ? GROUP BY day, member, fusion ORDER BY day DESC, member, fusion
"""

SAVINGS = "SELECT day, fusion, count(*), sum(nano), sum(atto) FROM savings WHERE day >= ? GROUP BY day, fusion ORDER BY day DESC, fusion"

SPENT = "SELECT day, member, fusion, sum(nano), sum(atto) FROM calls GROUP BY day, member, fusion"
SAVED = "SELECT day, sum(nano), sum(atto) FROM savings GROUP BY day"
UNKNOWN = f"""
SELECT {", ".join(CallRow._fields)} FROM calls
WHERE state != 'settled' AND generation IS NOT NULL AND time >= ?
"""  # noqa: S608
