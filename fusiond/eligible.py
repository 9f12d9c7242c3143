"""Who may be asked: how far the request may go, who is well, what can be paid, and who can hold and see it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from fusiond.catalog import UNPAID, Fusion, Member
from fusiond.chat import ImagePart, Limit, Message, Request, Sampling, TextPart
from fusiond.config.tree import Privacy
from fusiond.errors import TooDear
from fusiond.policy.bound import Bound, Unpriceable, most_tokens
from fusiond.policy.budget import Caps, offer, wished
from fusiond.policy.privacy import allows, loosens, strictest
from fusiond.situation import Out, Situation, SkipReason

USUAL_BYTES_PER_TOKEN = 4
"""By which tokens are estimated that nobody has counted."""

MOST_BYTES_PER_TOKEN = 8
"""No tokenizer makes fewer tokens of ordinary text: below a prompt's bytes through this, a context is surely too small for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A member that is left out of this request, and why: a word for counters, a sentence, and until when (the loop's clock), if that is known.

    `lasting`: until the configuration changes.
    """

    member: Member
    reason: SkipReason
    why: str
    until: float | None = None
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.reason}: {self.why}"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What one request may do now.

    `because`: who says how far it may go. `caps` None: nothing may be paid. `ignored`: the client's limits that are looser than what holds.
    """

    request: Request
    situation: Situation
    privacy: Privacy
    because: str
    caps: Caps | None
    ignored: tuple[str, ...]

    def unfit(self, member: Member) -> Skipped | None:
        """Why the member is left out; None: it may be asked."""
        out = self._forbidden(member) or self.situation.out.get(member.name) or self._unpayable(member) or self._unable(member)
        return Skipped(member=member, reason=out.reason, why=out.why, until=out.until, lasting=out.lasting) if out else None

    def judging(self) -> Terms:
        """The terms of who reads the conversation as one text and says little: less than it will be asked, so that nobody is left out wrongly.

        The answers that it is to judge are not there yet; when they are, its worst case is set aside like any other's.
        """
        text = TextPart(text="".join(message.text for message in self.request.messages))
        request = Request(
            id=self.request.id,
            model=self.request.model,
            messages=(Message(role="user", parts=(text,)),),
            sampling=Sampling(max_tokens=1),
        )
        return replace(self, request=request)

    def _forbidden(self, member: Member) -> Out | None:
        if not allows(self.privacy, member.place):
            return Out(reason="privacy", why=f"is {member.place}, and this request is {self.privacy} ({self.because})")
        return Out(reason="unavailable", why=member.unavailable, lasting=True) if member.unavailable else None

    def _unpayable(self, member: Member) -> Out | None:
        if not member.paid:
            return None
        if self.caps is None:
            return Out(reason="budget", why=UNPAID)
        if member.tariff is None:
            return Out(reason="unavailable", why="its price is not known, and its member's table does not say it (price)", lasting=True)
        if self.situation.unpayable:
            return Out(reason="unavailable", why=f"what it costs cannot be recorded: {self.situation.unpayable}")
        try:
            offer(member.tariff, wished(self.request, member, self.bound), self.caps, self.situation.spent)
        except Unpriceable as error:
            return Out(reason="budget", why=f"what it could cost is not known: {error}")
        except TooDear as error:
            return Out(reason="budget", why=error.message)
        return None

    def _unable(self, member: Member) -> Out | None:
        if not member.vision and any(isinstance(part, ImagePart) for message in self.request.messages for part in message.parts):
            return Out(reason="modality", why="cannot see images")
        if member.context is not None and self._least_tokens > member.context:
            return Out(reason="context", why=f"its context of {member.context} tokens is too small for the request")
        return None

    @cached_property
    def bound(self) -> Bound:
        """What the prompt may be billed for. Raises Unpriceable."""
        return most_tokens(self.request)

    @cached_property
    def _least_tokens(self) -> int:
        return text_bytes(self.request) // MOST_BYTES_PER_TOKEN


def text_bytes(request: Request) -> int:
    """UTF-8 bytes of the messages' text."""
    return sum(len(message.text.encode(errors="surrogatepass")) for message in request.messages)


def terms(request: Request, fusion: Fusion, situation: Situation) -> Terms:
    """The strictest of what the configuration, the fusion and the request say; a looser limit of the client's is named, and has no effect."""
    budget, config, limits = situation.budget, fusion.config, request.limits
    wishes = [
        ("privacy.default", situation.privacy),
        (f"fusions.{fusion.name}.privacy", config.privacy),
        *((limit.name, limit.privacy) for limit in limits),
    ]
    privacy = strictest(*(wish for _, wish in wishes))
    cap = _least(budget.per_request_usd if budget else None, config.max_cost_usd, *(limit.max_cost_usd for limit in limits))
    return Terms(
        request=request,
        situation=situation,
        privacy=privacy,
        because=next((name for name, wish in wishes if wish == privacy), ""),
        caps=Caps(request=cap, day=budget.per_day_usd, month=budget.per_month_usd) if budget else None,
        ignored=tuple(limit.name for limit in limits if _looser(limit, privacy, cap)),
    )


def _looser(limit: Limit, privacy: Privacy, cap: Decimal | None) -> bool:
    dearer = limit.max_cost_usd is not None and cap is not None and limit.max_cost_usd > cap
    return dearer or (limit.privacy is not None and loosens(limit.privacy, privacy))


def sorted_out(terms: Terms, panel: Iterable[Member]) -> tuple[dict[str, Member], list[Skipped]]:
    """Who may be asked, by name, and who is left out."""
    able: dict[str, Member] = {}
    skipped: dict[str, Skipped] = {}
    for member in panel:
        if unfit := terms.unfit(member):
            skipped[member.name] = unfit
        else:
            able[member.name] = member
    return able, list(skipped.values())


def _least(*caps: Decimal | None) -> Decimal | None:
    return min((cap for cap in caps if cap is not None), default=None)
