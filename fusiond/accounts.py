"""What the daemon tells of money and of the past: the ledger, what left this machine, and every request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeVar

from aiohttp import web

from fusiond.catalog import Catalog, Fusion, look_up
from fusiond.config.tree import BudgetConfig
from fusiond.errors import BadRequest, NotFound, Unavailable, UnknownModel
from fusiond.keep import Keep
from fusiond.report import plain
from fusiond.store.database import StoreError
from fusiond.store.ledger import Ledger

T = TypeVar("T")
Query = Mapping[str, str]

MOST_ROWS, USUAL_ROWS = 500, 50
_STATUS = re.compile(r"[1-5]\d\d")


class Accounts:
    """The endpoints. Amounts are decimal strings, times are UTC."""

    def __init__(self, keep: Keep, budget: BudgetConfig | None, catalog: Catalog) -> None:
        self._keep = keep
        self._budget = budget
        self._catalog = catalog

    async def told(self, http: web.Request) -> web.Response:
        """The answer to what was asked for. Raises BadRequest, NotFound, or Unavailable where the file cannot be read."""
        await self._keep.known()
        match http.path.removeprefix("/fusiond/").split("/"):
            case ["ledger"]:
                return self._ledger()
            case ["costs"]:
                return await self._costs(http.query)
            case ["egress"]:
                return await self._egress(http.query)
            case ["requests"]:
                return await self._requests(http.query)
            case _:
                return await self._request(http.match_info["id"])

    def _ledger(self) -> web.Response:
        """`by_member`, `by_fusion` and `saved_usd` are the month's, as `month_usd` is. `fault`: why what is told may not be on the disk."""
        ledger = self._opened()
        summary = ledger.summary()
        return web.json_response(
            {
                "today_usd": plain(summary.today),
                "month_usd": plain(summary.month),
                "reserved_usd": plain(summary.reserved),
                "saved_usd": plain(summary.saved),
                "by_member": {name: plain(amount) for name, amount in summary.by_member.items()},
                "by_fusion": {name: plain(amount) for name, amount in summary.by_fusion.items()},
                "caps": {name: None if cap is None else plain(cap) for name, cap in self._caps().items()},
                "fault": ledger.fault,
            }
        )

    async def _costs(self, query: Query) -> web.Response:
        ledger = self._opened()
        _known(query, "since")
        since = _day(query.get("since"))
        costs, savings = await _read(ledger.costs(since))
        spent = [{"day": cost.day, "member": cost.member, "fusion": cost.fusion, "calls": cost.calls, "usd": plain(cost.usd)} for cost in costs]
        saved = [{"day": line.day, "fusion": line.fusion, "requests": line.requests, "usd": plain(line.usd)} for line in savings]
        return web.json_response({"spent": spent, "saved": saved})

    async def _egress(self, query: Query) -> web.Response:
        _known(query, "limit", "before", "request_id")
        rows, following = await _read(
            self._keep.records.egress(limit=_limit(query), before=query.get("before"), request_id=query.get("request_id")),
        )
        return web.json_response({"rows": rows, "next": following})

    async def _requests(self, query: Query) -> web.Response:
        _known(query, "limit", "before", "model", "fusion", "status", "since")
        rows, following = await _read(
            self._keep.records.requests(
                limit=_limit(query),
                before=query.get("before"),
                model=query.get("model"),
                fusion=self._fusion(query),
                status=_status(query),
                since=_since(query),
            )
        )
        return web.json_response({"requests": rows, "next": following})

    async def _request(self, name: str) -> web.Response:
        row = await _read(self._keep.records.request(name))
        if row is None:
            raise NotFound("there is no record of this request")
        return web.json_response(row)

    def _caps(self) -> dict[str, Decimal | None]:
        budget = self._budget or BudgetConfig()
        return {"request": budget.per_request_usd, "day": budget.per_day_usd, "month": budget.per_month_usd}

    def _opened(self) -> Ledger:
        """What it counts is in memory: a disk that takes nothing more keeps none of it back."""
        ledger = self._keep.ledger
        if ledger.closed:
            raise Unavailable(ledger.fault or "the ledger is closed")
        return ledger

    def _fusion(self, query: Query) -> str | None:
        """By its name, or by any name under which it is served; one that is served no more, by what it was."""
        name = query.get("fusion")
        if not name or name in self._catalog.fusions:
            return name
        with suppress(UnknownModel):
            if isinstance(served := look_up(name, self._catalog), Fusion):
                return served.name
        return name.removeprefix("fusion/")


async def _read(reading: Awaitable[T]) -> T:
    """What the disk says. Raises Unavailable, and BadRequest for a cursor that is none."""
    try:
        return await reading
    except StoreError as error:
        raise Unavailable(str(error)) from error
    except ValueError as error:
        raise BadRequest(str(error), param="before") from error


def _known(query: Query, *names: str) -> None:
    for name in query:
        if name not in names:
            raise BadRequest(f"{name[:64]} is no filter here (there are {', '.join(names)})", param=name[:64])


def _limit(query: Query) -> int:
    text = query.get("limit", str(USUAL_ROWS))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MOST_ROWS):
        raise BadRequest(f"limit must be a number from 1 to {MOST_ROWS}", param="limit")
    return int(text)


def _status(query: Query) -> int | None:
    text = query.get("status")
    if text is None:
        return None
    if not _STATUS.fullmatch(text):
        raise BadRequest("status must be an HTTP status such as 200", param="status")
    return int(text)


def _since(query: Query) -> float | None:
    """Seconds since 1970, from a date, a time in ISO 8601 (UTC where it does not say) or such seconds."""
    text = query.get("since")
    if text is None:
        return None
    try:
        return float(text) if re.fullmatch(r"\d{1,12}(\.\d+)?", text) else _utc(datetime.fromisoformat(text)).timestamp()
    except (ValueError, OverflowError):
        raise BadRequest("since must be a date, a time in ISO 8601, or seconds since 1970", param="since") from None


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _day(text: str | None) -> str:
    try:
        return "" if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadRequest("since must be a date such as 2026-01-31", param="since") from None
