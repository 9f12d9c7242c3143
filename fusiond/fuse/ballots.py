"""What the panel's answers say, counted: what `vote` and `cascade` have in common."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from fusiond.documents import TooMuch, merge
from fusiond.errors import MemberError, SchemaFailed
from fusiond.events import Event, Finished, Transcript
from fusiond.fuse.outcome import Decided, verbatim
from fusiond.keys import Wanted, joined, key, may_join
from fusiond.keys.document import NotJson, dump, parse, unwrapped
from fusiond.keys.schema import misfit
from fusiond.plan import Plan
from fusiond.policy.belief import Model, Verdict, Voter, Votes, chances, verdict
from fusiond.policy.settled import settled
from fusiond.report import Decision, Degraded

Keys = Mapping[str, str | None]
"""Voice -> what it says; None: nothing that can be counted."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")


def wanted_of(plan: Plan) -> Wanted:
    """What is counted. Raises TypeError for a plan without a key, which is a bug of whoever made it."""
    if plan.wanted is None:
        raise TypeError("a request without a key cannot be voted on")
    return plan.wanted


def said(wanted: Wanted, answer: Transcript) -> str | None:
    """The key of one answer. One that was cut off votes only with what it said outright: its last word is missing."""
    found = key(wanted, answer.text)
    if isinstance(answer.end, Finished) and answer.end.reason == "length":
        outright = wanted.options and key(wanted, _SENTENCE_END.split(answer.text.strip(), maxsplit=1)[0])
        return found if outright == found else None
    return found


def votes_of(plan: Plan, keys: Keys) -> Votes:
    """The voices' keys as the votes of the plan's voters."""
    return {voter: keys[voter.name] for voter in plan.voters if voter.name in keys}


def stands(plan: Plan, keys: Keys, missing: Collection[str]) -> bool:
    """Whether no answer still missing can change the key that stands. `keys`: of all that have ended, None for those that failed.

    Where short texts may still be joined, only if all that was said so far is the same.
    """
    if missing and may_join(wanted_of(plan)) and len({key for key in keys.values() if key is not None}) > 1:
        return False
    waiting = [voter for voter in plan.voters if voter.name in missing]
    return unchanging(plan, votes_of(plan, keys), waiting)


def unchanging(plan: Plan, votes: Votes, waiting: Sequence[Voter]) -> bool:
    """Whether nothing that those may say who are *waiting* can change what these votes come to.

    Of a document they could change any field, as long as it is not the same that all have said so far, who are most of all.
    """
    wanted = wanted_of(plan)
    said = [key for voter, key in votes.items() if key is not None and voter not in waiting]
    if waiting and wanted.kind == "json" and (len(set(said)) > 1 or len(said) <= len(waiting)):
        return False
    return settled(Model(), plan.voters, votes, waiting, wanted.count)


def count(
    plan: Plan,
    answers: Mapping[str, Transcript],
    failures: Mapping[str, MemberError],
    keys: Keys,
    *,
    degraded: tuple[Degraded, ...] = (),
) -> Decided:
    """What stands. `keys`: of all `answers`. Raises SchemaFailed where a document was asked for and none is whole."""
    wanted = wanted_of(plan)
    keys = joined(wanted, keys)
    outcome = verdict(Model(), plan.voters, votes_of(plan, keys), wanted.count)
    if outcome.key is None:
        if wanted.kind == "json":
            raise SchemaFailed({v: _broken(answer) for v, answer in answers.items()} | {v: e.message for v, e in failures.items()})
        return Decided(voice=plan.most_skilled(answers), decision="no_key", keys=keys, degraded=degraded)
    decided = _standing(plan, keys, outcome, degraded)
    return _field_by_field(plan, decided, answers) if wanted.kind == "json" else decided


def delivered(plan: Plan, decided: Decided, answers: Mapping[str, Transcript]) -> Iterator[Event]:
    """The winner's own text; of JSON, the document alone, or the one that was made of all."""
    answer = answers[decided.voice]
    if decided.decision == "merged" and decided.document:
        return verbatim(decided.voice, answer, decided.document.text)
    return verbatim(decided.voice, answer, unwrapped(answer.text) if wanted_of(plan).kind == "json" else None)


def _broken(answer: Transcript) -> str:
    """Why an answer is no whole document."""
    try:
        dump(parse(answer.text))
    except NotJson as error:
        return f"its answer is not a JSON document: {error}"
    return "its answer was cut off"


def _standing(plan: Plan, keys: Keys, outcome: Verdict, degraded: tuple[Degraded, ...]) -> Decided:
    """That a key stands, which somebody has said."""
    behind = [voice for voice, key in keys.items() if key == outcome.key]
    cast = sum(key is not None for key in keys.values())
    return Decided(
        voice=plan.most_skilled(behind),
        decision=_decision(len(behind), cast),
        confidence=outcome.confidence,
        agreement=len(behind) / cast,
        keys=keys,
        degraded=degraded,
    )


def _field_by_field(plan: Plan, decided: Decided, answers: Mapping[str, Transcript]) -> Decided:
    """What the documents come to. Where that cannot be told, or does not fit the client's schema, the one that was voted for, as it is.

    Equal documents come to themselves, and one that a member has said is delivered in its words.
    """
    texts = {voice: answer.text for voice, answer in answers.items() if decided.keys[voice] is not None}
    try:
        document = merge(texts, plan.voters)
    except TooMuch:
        return decided if decided.agreement == 1 else replace(decided, degraded=(*decided.degraded, "fallback"))
    if document.key in decided.keys.values():
        chance = chances(Model(), plan.voters, votes_of(plan, decided.keys))[document.key]
        return replace(_standing(plan, decided.keys, Verdict(key=document.key, confidence=chance), decided.degraded), document=document)
    if misfit(document.text, plan.request.format):
        return replace(decided, degraded=(*decided.degraded, "fallback"))
    return replace(
        decided,
        voice=plan.most_skilled(texts),
        decision="merged",
        confidence=document.confidence,
        agreement=document.agreement,
        document=document,
    )


def _decision(behind: int, cast: int) -> Decision:
    if behind == cast > 1:
        return "agreed"
    return "majority" if 2 * behind > cast else "weighted"
