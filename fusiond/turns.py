"""Who is asked in which order, and what the vote knows of each voice. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fusiond.call import Call
from fusiond.catalog import Member
from fusiond.chat import Request
from fusiond.choose import Choice
from fusiond.config.tree import Seat
from fusiond.policy.belief import Model, Voter, skills
from fusiond.policy.traffic import rank
from fusiond.situation import Situation

USUAL_CALL = (1000, 500)
"""Tokens of a prompt and an answer by which paid members are ranked."""


def calls_of(request: Request, member: Member, seat: Seat, deadline: float) -> list[Call]:
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


def call_of(request: Request, member: Member, deadline: float) -> Call:
    """One call."""
    return Call(voice=member.name, member=member, request=request, deadline=deadline)


def in_turn(choice: Choice, calls: list[Call], escalation: list[Call], situation: Situation) -> tuple[list[Call], list[Call]]:
    """The panel's calls in the order in which they are asked, and who may be asked besides: of those who take over from each other, nobody."""
    if choice.strategy not in ("single", "refine"):
        return calls, escalation if choice.strategy == "cascade" else []
    each = [call for call in calls if call.sample == 1]
    return _taking_over(_in_order(each, escalation, choice, situation)), []


def _in_order(calls: list[Call], escalation: list[Call], choice: Choice, situation: Situation) -> list[Call]:
    """The order of takeover: the panel's own for `single`; where one is to answer for all, the most skilled first, and last who may be paid.

    For tools, whoever can call them comes before those who cannot.
    """
    if choice.because == "actor":
        able, unable = ([[call for call in some if call.member.tools is tools] for some in (calls, escalation)] for tools in (True, False))
        return [*by_skill(able[0], situation), *able[1], *by_skill(unable[0], situation), *unable[1]]
    return [*by_skill(calls, situation), *escalation] if choice.best else calls


def _taking_over(calls: list[Call]) -> list[Call]:
    """Only the last is worth waiting for: nobody is there to take over from it."""
    *before, last = calls
    return [*(replace(call, patient=False) for call in before), last]


def by_skill(calls: list[Call], situation: Situation) -> list[Call]:
    """The most skilled first; equals go by panel order."""
    ranked = {voter.name: skill for voter, skill in skills(Model(), voters_of(calls, situation)).items()}
    return sorted(calls, key=lambda call: -ranked[call.voice])


def voters_of(calls: Sequence[Call], situation: Situation) -> tuple[Voter, ...]:
    """What the vote needs to know of each voice. Paid ones rank by what a usual call costs."""
    tariffs = {call.voice: call.member.tariff for call in calls if call.member.paid}
    prices = {voice: float(tariff.expected(*USUAL_CALL, situation.time)) for voice, tariff in tariffs.items() if tariff}
    dearest = max(prices.values(), default=0.0)
    return tuple(
        Voter(
            name=call.voice,
            paid=call.member.paid,
            reasoning=call.member.reasoning,
            size=call.member.size,
            rank=rank(price, dearest) if (price := prices.get(call.voice)) else 1.0,
            member=call.member.name,
            prior=call.member.skill,
        )
        for call in calls
    )
