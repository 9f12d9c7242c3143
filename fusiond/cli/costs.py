"""`fusiond costs`: what was spent and saved, by day, member and fusion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from fusiond.cli.client import Client
from fusiond.cli.terminal import dollars, say, show_json, show_table

Lines = Iterable[Mapping[str, Any]]


def costs(client: Client, since: str | None, *, as_json: bool) -> None:
    """Sums first, then every day. `since`: YYYY-MM-DD, UTC; None: since the beginning."""
    told = client.get("/fusiond/costs" + ("" if since is None else f"?since={quote(since, safe='')}"))
    ledger = client.get("/fusiond/ledger")
    if as_json:
        show_json({**ledger, **told})
        return
    spent, saved = told["spent"], told["saved"]
    total, gained = _sum(spent), _sum(saved)
    caps = ledger["caps"]
    say(f"today {_of(ledger['today_usd'], caps['day'])}, this month {_of(ledger['month_usd'], caps['month'])} (UTC)")
    say(f"set aside for calls under way: {dollars(ledger['reserved_usd'])}")
    effect = f"saved about {dollars(gained)}" if gained >= 0 else f"cost about {dollars(-gained)} more"
    say(f"{'in all' if since is None else 'since ' + since}: spent {dollars(total)}; against always asking the strongest, cascades {effect}")
    show_table(("member", "calls", "spent"), [(name, str(calls), dollars(usd)) for name, (calls, usd) in _by(spent, "member").items()])
    show_table(("fusion", "calls", "spent", "saved"), _fusions(spent, saved))
    days = [(line["day"], line["member"], line["fusion"], str(line["calls"]), dollars(line["usd"])) for line in spent]
    show_table(("day", "member", "fusion", "calls", "spent"), days)


def _fusions(spent: Lines, saved: Lines) -> list[tuple[str, ...]]:
    gains, costs = _by(saved, "fusion", count="requests"), _by(spent, "fusion")
    nothing = (0, Decimal(0))
    rows = ((name, costs.get(name, nothing), gains.get(name, nothing)) for name in dict.fromkeys((*costs, *gains)))
    return [(name, str(calls), dollars(usd), dollars(gain)) for name, (calls, usd), (_, gain) in rows]


def _by(lines: Lines, key: str, count: str = "calls") -> dict[str, tuple[int, Decimal]]:
    """Name -> how many, and USD; the dearest first."""
    sums: dict[str, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for line in lines:
        calls, usd = sums[line[key]]
        sums[line[key]] = calls + line[count], usd + Decimal(line["usd"])
    return dict(sorted(sums.items(), key=lambda named: (-named[1][1], named[0])))


def _of(spent: str, cap: str | None) -> str:
    return dollars(spent) + (f" of {dollars(cap)}" if cap else "")


def _sum(lines: Lines) -> Decimal:
    return sum((Decimal(line["usd"]) for line in lines), Decimal(0))
