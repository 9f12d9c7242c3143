"""Who is asked, how, and by when: decided from values, before anything is sent.

`plan` is pure: the request, the catalog and the time in, a `Plan` or an error out. A plan is data: it can be logged, shown and asserted on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fusiond.call import Call
from fusiond.catalog import Catalog, Fusion, Member, look_up
from fusiond.chat import Request
from fusiond.choose import Because, Choice, Company, aim, choose
from fusiond.code.request import Coding
from fusiond.config.tree import FusionConfig, Privacy, Seat, StrategyName
from fusiond.eligible import Skipped, Terms, sorted_out, terms
from fusiond.errors import BadRequest, ContextExceeded, Forbidden, FusiondError, OverBudget, Unavailable
from fusiond.keys import Wanted
from fusiond.overrides import overridden, refuse_overrides
from fusiond.policy.belief import Model, Voter, skills
from fusiond.policy.bound import Bound
from fusiond.policy.budget import Caps
from fusiond.policy.traffic import Traffic
from fusiond.situation import Situation
from fusiond.task import routed
from fusiond.tuned import for_kind, skilled
from fusiond.turns import by_skill, call_of, calls_of, in_turn, voters_of

HELPERS: Mapping[StrategyName, tuple[str, ...]] = {
    "select": ("judge",),
    "synthesize": ("judge", "writer"),
    "refine": ("judge", "writer"),
}
"""Who is asked besides the panel."""

UNKNOWN_WAIT = 10
"""Seconds after which to ask again, where nobody knows when a member is back."""

PANEL_SHARE = 0.7
"""Of a fusion's time, where somebody is asked after the panel: he needs the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done for one request.

    `calls` are the panel's in its order, further samples included; for `single` they are the order of takeover. `escalation`: who may be asked
    besides in a cascade, in this order. `voters` are the voices of both with what the vote needs to know of them. `because`: why a strategy other
    than the fusion's was chosen; `reason`: the same in words. `code`: what code is wanted, where answers are chosen by what theirs does.
    `rounds`: layers of a synthesis, revisions of a draft. `caps` None: nothing may be paid; `bound`: what the prompt may be billed for, where
    somebody of the panel is paid; `final`: a call that is too dear ends the request. `deadline` is absolute, seconds on the loop's clock, `time` the
    wall's when it was made; `grace` seconds after the quorum. `ignored`: limits of the client's that are looser than ours.
    """

    request: Request
    fusion: str | None
    strategy: StrategyName
    because: Because | None
    reason: str | None
    wanted: Wanted | None
    code: Coding | None
    calls: tuple[Call, ...]
    escalation: tuple[Call, ...]
    voters: tuple[Voter, ...]
    judge: Member | None
    writer: Member | None
    skipped: tuple[Skipped, ...]
    rounds: int
    quorum: int | None
    grace: float
    deadline: float
    time: datetime
    thrift: float
    spend: float | None
    accept: float
    traffic: Traffic
    privacy: Privacy
    caps: Caps | None
    bound: Bound | None
    final: bool
    ignored: tuple[str, ...]

    @property
    def paid(self) -> int:
        """How many paid calls it may make at the most; of those that take over from each other, one."""
        panel = sum(call.member.paid for call in self.calls)
        if self.strategy in ("single", "refine"):
            panel = min(panel, 1)
        again = panel * (self.rounds - 1) if self.strategy == "synthesize" else 0
        beside = (*(call.member for call in self.escalation), *self._beside() * self.rounds)
        return max(1, panel + again + sum(member.paid for member in beside if member))

    def _beside(self) -> tuple[Member | None, ...]:
        """Who is asked after the panel in each round, once for each call: a judge picks twice, an analysis is made only for a writer."""
        match self.strategy:
            case _ if self.code:
                return self.judge, self.judge
            case "select":
                return self.judge, self.judge
            case "synthesize" if self.writer:
                return self.judge or self.writer, self.writer
            case "refine":
                helper = self.judge or max((call.member for call in self.calls), key=lambda member: member.paid)
                return helper, self.writer or helper, helper, helper
        return ()

    @property
    def leaves(self) -> bool:
        """Whether anything of it may leave this machine."""
        return any(member.place != "local" for member in self.members)

    @property
    def members(self) -> list[Member]:
        """Who may be asked."""
        asked = [*(call.member for call in (*self.calls, *self.escalation)), self.judge, self.writer]
        return [member for member in asked if member]

    @property
    def asked_for(self) -> str:
        """The name of what was asked for: a fusion's as it is served, or a member's own."""
        return f"fusion/{self.fusion}" if self.fusion else self.calls[0].member.name

    def most_skilled(self, voices: Iterable[str]) -> str:
        """The voice most likely to be right; equals go by panel order."""
        among = set(voices)
        ranked = skills(Model(), self.voters)
        return max((voter for voter in self.voters if voter.name in among), key=lambda voter: (ranked[voter], -self.voters.index(voter))).name


def plan(request: Request, catalog: Catalog, situation: Situation) -> Plan:
    """The plan for a request.

    Raises UnknownModel with the nearest name; OverBudget where the budget says to reject. Where nobody is left, a member asked for by its own name
    among them: Unavailable if somebody may be back, else ContextExceeded or BadRequest if the request fits nobody who may be asked, Forbidden or
    OverBudget if nobody may.
    """
    target = sought(request, catalog)
    if isinstance(target, Member):
        refuse_overrides(request, target)
        fusion = Fusion(name=target.name, config=FusionConfig(strategy="single"), panel=(Seat(member=target.name),), judge=None, writer=None)
        return _planned(request, fusion, catalog, situation, named=target)
    return _planned(request, overridden(target, request, catalog), catalog, situation)


def sought(request: Request, catalog: Catalog) -> Fusion | Member:
    """What a request asks for, by whatever name. Raises UnknownModel."""
    name = catalog.aliases.get(request.model, request.model)
    return look_up(routed(request, catalog.routes, name) if name == "auto" else name, catalog)


def _planned(request: Request, fusion: Fusion, catalog: Catalog, situation: Situation, named: Member | None = None) -> Plan:
    config, limits = fusion.config, terms(request, fusion, situation)
    deadline = situation.now + (named.total_seconds if named else config.deadline_seconds)
    aimed = aim(request, fusion)
    fusion, tuned = for_kind(fusion, aimed.key)
    calls, escalation, unable = _askable(request, fusion, catalog, limits, deadline)
    helpers, absent = _helpers(fusion, catalog, limits)
    company = Company(calls=calls, escalation=escalation, skipped=unable, runs_code=situation.run_code, **helpers)
    choice = choose(request, fusion, aimed, company)
    roles = HELPERS.get("select" if choice.code else choice.strategy, ())
    judge, writer = (helpers[role] if role in roles else None for role in ("judge", "writer"))
    if choice.strategy == "synthesize" and calls and not fusion.writer:
        writer = by_skill(calls, situation)[0].member
    skipped = _once([*unable, *(skip for role, skip in absent.items() if role in (*roles, *choice.lacks))])
    _refuse_dear(skipped, situation)
    if not calls + escalation:
        raise _nobody(fusion, unable, situation)
    unheard, key = _unheard(request, [*calls, *escalation]), choice.wanted
    calls, escalation = in_turn(choice, calls, escalation, situation) if named is None else (calls, [])
    calls = _for_strategy(choice, calls, config, situation, followed=bool(judge or writer or escalation))
    traffic = situation.traffic.get((f"fusion/{fusion.name}", key.kind), Traffic()) if key else Traffic()
    return Plan(
        request=request,
        fusion=None if named else fusion.name,
        strategy=choice.strategy,
        because=choice.because,
        reason=choice.reason,
        wanted=key,
        code=replace(choice.code, run=situation.run_code) if choice.code else None,
        calls=tuple(calls),
        escalation=tuple(escalation),
        voters=skilled(voters_of([*calls, *escalation], situation), tuned),
        judge=judge,
        writer=writer,
        skipped=skipped,
        rounds=config.rounds,
        quorum=config.quorum,
        grace=config.grace_seconds,
        deadline=deadline,
        time=situation.time,
        thrift=fusion.config.thrift if config.spend is None else traffic.thrift,
        spend=config.spend,
        accept=config.accept,
        traffic=traffic,
        privacy=limits.privacy,
        caps=limits.caps,
        bound=limits.bound if limits.caps and any(call.member.paid for call in (*calls, *escalation)) else None,
        final=_final(situation),
        ignored=(*limits.ignored, *unheard),
    )


def _for_strategy(choice: Choice, calls: list[Call], config: FusionConfig, situation: Situation, *, followed: bool) -> list[Call]:
    """The panel's calls as the strategy needs them: handed on as they come, or with a part of the time, where somebody is asked after them."""
    if choice.strategy in ("single", "race"):
        return [replace(call, relayed=True) for call in calls]
    if not (followed or choice.code or choice.strategy == "refine"):
        return calls
    share = PANEL_SHARE / config.rounds if choice.strategy in ("synthesize", "refine") else PANEL_SHARE
    return [replace(call, deadline=situation.now + share * config.deadline_seconds) for call in calls]


def _askable(request: Request, fusion: Fusion, catalog: Catalog, limits: Terms, deadline: float) -> tuple[list[Call], list[Call], list[Skipped]]:
    """The panel's calls, those of a cascade's escalation, and who of both is left out."""
    able, unable = sorted_out(limits, [catalog.members[seat.member] for seat in fusion.panel])
    calls = [call for seat in fusion.panel if seat.member in able for call in calls_of(request, able[seat.member], seat, deadline)]
    helped = fusion.escalate if fusion.config.strategy in ("cascade", "adaptive") else ()
    askable, unaskable = sorted_out(limits, [catalog.members[name] for name in helped])
    return calls, [call_of(request, member, deadline) for member in askable.values()], [*unable, *unaskable]


def _unheard(request: Request, calls: Sequence[Call]) -> tuple[str, ...]:
    """What of the request nobody who is asked can use. Raises BadRequest where the answer must be a call of a tool."""
    if not request.tools or any(call.member.tools for call in calls):
        return ()
    if request.tool_choice and request.tool_choice.mode == "required":
        raise BadRequest(f"nobody asked can call tools ({', '.join(call.member.name for call in calls)})", param="tool_choice")
    return ("tools",)


def _helpers(fusion: Fusion, catalog: Catalog, limits: Terms) -> tuple[dict[str, Member | None], dict[str, Skipped]]:
    """The judge and the writer as far as they may be asked, and why they may not: one reads the request as text, the other has it as it is."""
    helpers: dict[str, Member | None] = {}
    absent: dict[str, Skipped] = {}
    for role, name, wanted in (("judge", fusion.judge, limits.judging()), ("writer", fusion.writer, limits)):
        able, unable = sorted_out(wanted, [catalog.members[name]] if name else [])
        helpers[role] = next(iter(able.values()), None)
        if unable:
            absent[role] = unable[0]
    return helpers, absent


def _once(skipped: Iterable[Skipped]) -> tuple[Skipped, ...]:
    """Each member once, with the first reason."""
    found: dict[str, Skipped] = {}
    for skip in skipped:
        found.setdefault(skip.member.name, skip)
    return tuple(found.values())


def _final(situation: Situation) -> bool:
    return situation.budget is not None and situation.budget.when_exhausted == "reject"


def _refuse_dear(skipped: Iterable[Skipped], situation: Situation) -> None:
    """Raises OverBudget where the budget says to reject, and somebody is left out for it."""
    if _final(situation) and (dear := [skip for skip in skipped if skip.reason == "budget"]):
        raise OverBudget(f"nobody is asked, since budget.when_exhausted is 'reject' ({_told(dear)})", param="model")


def _nobody(fusion: Fusion, skipped: Sequence[Skipped], situation: Situation) -> FusiondError:
    """Why nobody is asked: when somebody may be back, else what the client can mend by itself, else what forbids it."""
    reasons, told = {skip.reason for skip in skipped}, _told(skipped)
    if not skipped:
        return Unavailable(f"the panel of fusion/{fusion.name} is empty: no provider has offered a model so far", retry_after=UNKNOWN_WAIT)
    if out := [skip for skip in skipped if skip.reason in ("unavailable", "offline", "cooling")]:
        back = min((skip.until for skip in out if skip.until is not None), default=situation.now + UNKNOWN_WAIT)
        return Unavailable(f"nobody may answer ({told})", retry_after=None if all(skip.lasting for skip in out) else max(1.0, back - situation.now))
    if "context" in reasons:
        return ContextExceeded(f"the request is longer than the context of whoever may be asked ({told})", param="messages")
    if "modality" in reasons:
        return BadRequest(f"nobody who may be asked can take images ({told})", param="messages")
    if "privacy" in reasons:
        return Forbidden(f"nobody may be asked ({told})", param="model")
    return OverBudget(f"nobody may be paid ({told})", param="model")


def _told(skipped: Iterable[Skipped]) -> str:
    return "; ".join(f"{skip.member.name}: {skip.why}" for skip in skipped)
