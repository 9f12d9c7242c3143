"""`fusiond costs`: what was spent and saved, by day, member and fusion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from fusiond.cli.client import Client
from fusiond.cli.terminal import say, show_json, show_table

Lines = Iterable[Mapping[str, Any]]


def costs(client: Client, since: str | None, *, as_json: bool) -> None:
    """Sums first, then every day. `since`: YYYY-MM-DD, UTC; None: since the beginning."""
    told = client.get("/fusiond/costs" + (f"?since={since}" if since else ""))
    ledger = client.get("/fusiond/ledger")
    if as_json:
        show_json({**ledger, **told})
        return
    spent, saved = told["spent"], told["saved"]
    total, gained = _sum(spent), _sum(saved)
    say(f"today {_usd(ledger['today_usd'])}, this month {_usd(ledger['month_usd'])}, set aside for calls under way {_usd(ledger['reserved_usd'])}")
    say(f"{'since ' + since if since else 'in all'}: spent {_usd(total)}, saved {_usd(gained)} against always asking the strongest")
    show_table(("member", "calls", "spent"), [(name, str(calls), _usd(usd)) for name, (calls, usd) in _by(spent, "member").items()])
    show_table(("fusion", "calls", "spent", "saved"), _fusions(spent, saved))
    days = [(line["day"], line["member"], line["fusion"], str(line["calls"]), _usd(line["usd"])) for line in spent]
    show_table(("day", "member", "fusion", "calls", "spent"), days)


def _fusions(spent: Lines, saved: Lines) -> list[tuple[str, ...]]:
    gains = {name: usd for name, (_, usd) in _by(saved, "fusion", count="requests").items()}
    costs = _by(spent, "fusion")
    names = dict.fromkeys((*costs, *gains))
    return [
        (name, str(costs[name][0] if name in costs else 0), _usd(costs[name][1] if name in costs else 0), _usd(gains.get(name, 0))) for name in names
    ]


def _by(lines: Lines, key: str, count: str = "calls") -> dict[str, tuple[int, Decimal]]:
    """Name -> how many, and USD; the dearest first."""
    sums: dict[str, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for line in lines:
        calls, usd = sums[line[key]]
        sums[line[key]] = calls + line[count], usd + Decimal(line["usd"])
    return dict(sorted(sums.items(), key=lambda named: (-named[1][1], named[0])))


def _sum(lines: Lines) -> Decimal:
    return sum((Decimal(line["usd"]) for line in lines), Decimal(0))


def _usd(amount: str | Decimal | int) -> str:
    """Cents where that says enough, else as many digits as a small amount needs."""
    usd = Decimal(amount)
    digits = 2 if usd == 0 or abs(usd) >= 1 else 6
    return f"{'-' if usd < 0 else ''}${abs(usd):.{digits}f}"
