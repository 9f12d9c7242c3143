"""Who is asked, how, and by when: decided from values, before anything is sent.

`plan` is pure: the request, the catalog and the time in, a `Plan` or an error out. A plan is data: it can be logged, shown and asserted on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fusiond.call import Call
from fusiond.catalog import Catalog, Fusion, Member, look_up, nearest
from fusiond.chat import ImagePart, Request
from fusiond.config.tree import FusionConfig, Seat, StrategyName
from fusiond.errors import BadRequest, ContextExceeded, OverBudget, Unavailable, UnknownModel
from fusiond.keys import Wanted, wanted
from fusiond.policy.belief import Model, Voter, skills

SkipReason = Literal["budget", "context", "unavailable", "modality"]
Because = Literal["actor", "no_key"]
MOST_BYTES_PER_TOKEN = 8
"""No tokenizer makes fewer tokens of ordinary text: below a prompt's bytes through this, a context is surely too small for it."""

_UNPAID = "costs money, and there is no [budget]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A member that is left out of this request, and why: a word for counters, and a sentence."""

    member: Member
    reason: SkipReason
    why: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done for one request.

    `calls` are the panel's in its order, further samples included; for `single` they are the order of takeover. `voters` are the same voices with
    what the vote needs to know of them. `because`: why a strategy other than the fusion's was chosen. `deadline` is absolute, seconds on the
    loop's clock; `grace` seconds after the quorum.
    """

    request: Request
    fusion: str | None
    strategy: StrategyName
    because: Because | None
    wanted: Wanted | None
    calls: tuple[Call, ...]
    voters: tuple[Voter, ...]
    judge: Member | None
    writer: Member | None
    skipped: tuple[Skipped, ...]
    quorum: int | None
    grace: float
    deadline: float

    def most_skilled(self, voices: Iterable[str]) -> str:
        """The voice most likely to be right; equals go by panel order."""
        among = set(voices)
        ranked = skills(Model(), self.voters)
        return max((voter for voter in self.voters if voter.name in among), key=lambda voter: (ranked[voter], -self.voters.index(voter))).name


def plan(request: Request, catalog: Catalog, now: float) -> Plan:
    """The plan for a request.

    Raises UnknownModel with the nearest name; OverBudget or Unavailable for a member asked for by its own name that may not or cannot be asked;
    ContextExceeded and BadRequest where the request fits nobody; Unavailable where nobody is left for another reason.
    """
    target = look_up(request.model, catalog)
    if isinstance(target, Member):
        _refuse_overrides(request)
        fusion = Fusion(name=target.name, config=FusionConfig(strategy="single"), panel=(Seat(member=target.name),), judge=None, writer=None)
        return _planned(request, fusion, catalog, now, named=target)
    return _planned(request, _overridden(target, request, catalog), catalog, now)


def _refuse_overrides(request: Request) -> None:
    for field in ("strategy", "panel", "judge", "writer"):
        if getattr(request.overrides, field) is not None:
            raise BadRequest(f"fusion.{field} needs a fusion as the model, and '{request.model}' is a member", param=f"fusion.{field}")


def _overridden(fusion: Fusion, request: Request, catalog: Catalog) -> Fusion:
    wish = request.overrides
    for field, names in (
        ("panel", wish.panel or ()),
        ("judge", [wish.judge] if wish.judge else []),
        ("writer", [wish.writer] if wish.writer else []),
    ):
        for name in names:
            if name not in catalog.members:
                raise UnknownModel(f"fusion.{field}: no member named '{name}'{nearest(name, catalog.members)}", param=f"fusion.{field}")
    for name, count in Counter(wish.panel).items():
        if count > 1:
            raise BadRequest(f"fusion.panel names '{name}' more than once", param="fusion.panel")
    config = fusion.config
    if wish.strategy:
        config = replace(config, strategy=wish.strategy)  # type: ignore[arg-type]  # decoding has checked the name
    return replace(
        fusion,
        config=replace(config, quorum=None) if wish.panel else config,
        panel=tuple(Seat(member=name) for name in wish.panel) if wish.panel else fusion.panel,
        judge=wish.judge or fusion.judge,
        writer=wish.writer or wish.judge or fusion.writer,
    )


def _planned(request: Request, fusion: Fusion, catalog: Catalog, now: float, named: Member | None = None) -> Plan:
    deadline = now + (named.total_seconds if named else fusion.config.deadline_seconds)
    able, skipped = _sorted_out(request, [catalog.members[seat.member] for seat in fusion.panel])
    if not able:
        raise _nobody(fusion, skipped, named)
    seats = [seat for seat in fusion.panel if seat.member in able]
    calls = [call for seat in seats for call in _calls(request, able[seat.member], seat, deadline)]
    judge, writer = (_asked_alone(catalog, name) for name in (fusion.judge, fusion.writer))
    strategy, because = _as_the_request_is(request, fusion.config.strategy)
    kind = fusion.config.kind if request.format is None else None  # a document that was asked for is a document, whatever the fusion is for
    key = wanted(request, kind) if strategy == "vote" else None
    if strategy == "vote" and key is None:
        strategy, because = ("select" if judge else "single"), "no_key"
    if strategy == "single" and named is None:
        calls = _in_order([call for call in calls if call.sample == 1], because)
    return Plan(
        request=request,
        fusion=None if named else fusion.name,
        strategy=strategy,
        because=because,
        wanted=key,
        calls=tuple(calls),
        voters=tuple(_voter(call) for call in calls),
        judge=judge,
        writer=writer,
        skipped=tuple(skipped),
        quorum=fusion.config.quorum,
        grace=fusion.config.grace_seconds,
        deadline=deadline,
    )


def _as_the_request_is(request: Request, strategy: StrategyName) -> tuple[StrategyName, Because | None]:
    """What the request makes of the fusion's strategy: tools need one actor, and JSON is voted on."""
    if strategy not in ("single", "race") and (request.tools or any(message.role == "tool" for message in request.messages)):
        return "single", "actor"
    if strategy in ("select", "synthesize") and request.format is not None:
        return "vote", None
    return strategy, None


def _sorted_out(request: Request, panel: Iterable[Member]) -> tuple[dict[str, Member], list[Skipped]]:
    able: dict[str, Member] = {}
    skipped: dict[str, Skipped] = {}
    for member in panel:
        if unfit := _unfit(request, member):
            skipped[member.name] = unfit
        else:
            able[member.name] = member
    return able, list(skipped.values())


def _unfit(request: Request, member: Member) -> Skipped | None:
    if member.unavailable:
        return Skipped(member=member, reason="unavailable", why=member.unavailable)
    if member.paid:
        return Skipped(member=member, reason="budget", why=_UNPAID)
    if not member.vision and any(isinstance(part, ImagePart) for message in request.messages for part in message.parts):
        return Skipped(member=member, reason="modality", why="cannot see images")
    if member.context is not None and least_tokens(request) > member.context:
        return Skipped(member=member, reason="context", why=f"its context of {member.context} tokens is too small for the request")
    return None


def least_tokens(request: Request) -> int:
    """Tokens that the request's text surely has in any tokenizer."""
    return sum(len(message.text.encode(errors="surrogatepass")) for message in request.messages) // MOST_BYTES_PER_TOKEN


def _nobody(fusion: Fusion, skipped: Sequence[Skipped], named: Member | None) -> Exception:
    reasons = {skip.reason for skip in skipped}
    told = "; ".join(f"{skip.member.name}: {skip.why}" for skip in skipped)
    if reasons == {"context"}:
        return ContextExceeded(f"the request is longer than any member's context ({told})", param="messages")
    if reasons == {"modality"}:
        return BadRequest(f"nobody asked can take images ({told})", param="messages")
    if named and reasons == {"budget"}:
        return OverBudget(told, param="model")
    if not skipped:
        return Unavailable(f"the panel of fusion/{fusion.name} is empty: no provider has offered a model so far", retry_after=10)
    return Unavailable(f"nobody may answer ({told})", retry_after=10)


def _calls(request: Request, member: Member, seat: Seat, deadline: float) -> list[Call]:
    """One call for each sample. A seat's own temperature stands; with a seed, every sample has a seed of its own."""
    calls = []
    for draw in range(seat.samples):
        sampling = request.sampling
        if seat.temperature is not None:
            sampling = replace(sampling, temperature=seat.temperature)
        if draw and sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + draw)
        voice = f"{member.name}#{draw + 1}" if draw else member.name
        calls.append(Call(voice=voice, sample=draw + 1, member=member, request=replace(request, sampling=sampling), deadline=deadline))
    return calls


def _asked_alone(catalog: Catalog, name: str | None) -> Member | None:
    """A judge or writer that may be asked; its prompt is text, whatever the request holds."""
    member = catalog.members[name] if name else None
    return None if member is None or member.unavailable or member.paid else member


def _in_order(calls: list[Call], because: Because | None) -> list[Call]:
    """The order of takeover: the panel's own for `single`; where one is to answer for all, the most skilled first, and for tools who can call any."""
    match because:
        case None:
            return calls
        case "no_key":
            return _by_skill(calls)
        case "actor":
            return _by_skill([call for call in calls if call.member.tools]) + _by_skill([call for call in calls if not call.member.tools])


def _by_skill(calls: list[Call]) -> list[Call]:
    ranked = {voter.name: skill for voter, skill in skills(Model(), [_voter(call) for call in calls]).items()}
    return sorted(calls, key=lambda call: -ranked[call.voice])


def _voter(call: Call) -> Voter:
    member = call.member
    return Voter(name=call.voice, paid=member.paid, reasoning=member.reasoning, size=member.size, member=member.name, prior=member.skill)
