"""How a request is answered: what its fusion says, and what it is itself. Pure.

`adaptive` chooses by rules that ask nobody. It fuses answers that can be counted, and prose where the writer is strong.
It does not where one answer is as good or better: the small chores of clients, code to be filled in, tools, draws, creative writing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fusiond.call import Call
from fusiond.catalog import Fusion, Member
from fusiond.chat import ImagePart, Request
from fusiond.code.request import Coding, coding
from fusiond.config.tree import StrategyName
from fusiond.eligible import USUAL_BYTES_PER_TOKEN, Skipped, text_bytes
from fusiond.guess import DEFAULT_SIZE, size
from fusiond.keys import Wanted, acts, cues, is_chore, wanted
from fusiond.task import about_code, question_of

Because = Literal["actor", "no_key"]

STRONG_SIZE = 24.0
"""Billions of parameters from which on a member may write for others: a rule of thumb, since nothing here measures how well it writes."""

DRAFT_TOKENS = 1000
"""Of a draft, as long as nobody has written it."""

READABLE = 0.7
"""Of a context, for what is to be read."""

BRIEF = 64
"""Tokens: whoever asks for no more wants a word, or knows whether we are there."""

DRAWN = 1.0
"""Temperature from which on a client wants a draw, and no agreement."""

_FLAGS = re.IGNORECASE | re.VERBOSE
_GAP = re.compile(
    r"""<\|?(?:fim_|code_)?(?:prefix|suffix|middle)\|?> | <(?:PRE|SUF|MID)> | \[(?:PREFIX|SUFFIX|MIDDLE)\] | <\uff5cfim\u2581\w+\uff5c>
      | <\|(?:cursor|user_cursor_is_here)\|> | \bfill[- ]in[- ]the[- ]middle\b
      | \b(?:code|text|auto)[- ]?completion\ (?:engine|assistant|model|system)\b""",
    _FLAGS,
)
"""Something is to be filled in or completed where the cursor is."""

_CREATIVE = re.compile(
    r"""\b(?:poems?|haikus?|limericks?|sonnets?|lyrics|song|ballad|rap|jokes?|puns?|riddles?|fairy\ ?tales?|fables?|short\ stor(?:y|ies)|novels?
        |fan\ ?fiction|screenplays?|monologues?|slogans?|taglines?|love\ letter|role-?\ ?play|gedicht\w{0,2}|geschichte|märchen|poème|poema|cuento
        |стих\w{0,5}|сказк\w)\b
      | \b(?:tell|write|invent|make\ up|compose|continue)\b[^.\n]{0,40}\b(?:a|the|this|our|my)\ (?:\w+\ ){0,2}
        (?:story|tale|scene|chapter|verse|dialogue)\b
      | \bin\ the\ (?:style|voice|tone|manner)\ of\b | \b(?:pretend|imagine)\ (?:to\ be|(?:that\ )?you\ are|you.re)\b | \bact\ as\b
      | 写.{0,6}(?:诗|故事)|詩を|物語""",
    _FLAGS,
)
"""One voice is wanted: a mixture of several has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a request is answered.

    `code`: what code is wanted, where answers are chosen by what theirs does. `because`: why not as the fusion says;
    `reason`: the same in words, and why adaptive chose it. `best`: the most skilled goes first, rather than the panel's first. `lacks`: roles in
    which somebody would have been asked who may not be.
    """

    strategy: StrategyName
    wanted: Wanted | None = None
    code: Coding | None = None
    because: Because | None = None
    reason: str | None = None
    best: bool = False
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Who may be asked: the panel's calls, those beside it, the judge and the writer. `skipped`: who of the panel is left out.

    `runs_code`: whether what they write may be run.
    """

    calls: Sequence[Call]
    escalation: Sequence[Call] = ()
    skipped: Sequence[Skipped] = ()
    judge: Member | None = None
    writer: Member | None = None
    runs_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a request wants of a fusion that looks at that: an answer that can be counted, or code that can be chosen, or neither."""

    key: Wanted | None = None
    code: Coding | None = None


def aim(request: Request, fusion: Fusion) -> Aim:
    """Told from the request. Figures and questions in a prompt for code are about the code."""
    strategy = fusion.config.strategy
    if strategy in ("single", "race") or acts(request):
        return Aim()
    counts = strategy in ("vote", "cascade", "adaptive") or request.format is not None
    kind = fusion.config.kind if request.format is None else None  # a document that was asked for is a document, whatever the fusion is for
    key = wanted(request, kind) if counts else None
    if strategy not in ("vote", "cascade", "select", "adaptive") or (key and (kind or key.kind not in ("number", "text"))):
        return Aim(key=key)
    code = _code(request, fusion)
    return Aim(code=code) if code and (code.certain or key is None) else Aim(key=key)


def _code(request: Request, fusion: Fusion) -> Coding | None:
    """What code is wanted, where there is a choice between answers, and something to choose by."""
    if sum(seat.samples for seat in fusion.panel) + len(fusion.escalate) < 2:
        return None
    code = coding(request)
    return code if code and (code.readable or fusion.judge) else None


def choose(request: Request, fusion: Fusion, aimed: Aim, company: Company) -> Choice:
    """How the request is answered by these."""
    strategy, key = fusion.config.strategy, aimed.key
    if strategy in ("single", "race"):
        return Choice(strategy=strategy)
    if acts(request):
        return Choice(strategy="single", because="actor", reason="tools need one actor")
    if strategy == "adaptive":
        return _adapted(request, aimed, company)
    if aimed.code:
        return Choice(strategy=strategy, code=aimed.code, reason="code is chosen by what it does")
    if strategy in ("vote", "cascade") or request.format is not None:
        if key:
            return Choice(strategy=strategy if strategy == "cascade" else "vote", wanted=key)
        if strategy == "vote" and company.judge:
            return Choice(strategy="select", because="no_key", reason="answers cannot be counted")
        return _one("answers cannot be counted", lacks=("judge",) if strategy == "vote" else ())
    return Choice(strategy=strategy, best=strategy == "refine")


def strong(member: Member | None) -> bool:
    """Whether a member's judgement is worth more than the drafts: it is large, or runs elsewhere and nobody says how small it is."""
    if member is None:
        return False
    unknown = member.size == DEFAULT_SIZE and size(member.model) is None
    return member.size >= STRONG_SIZE or (member.place == "remote" and unknown)


def _adapted(request: Request, aimed: Aim, company: Company) -> Choice:
    if reason := _alone(request, aimed.key, company):
        return _one(reason, aimed.key)
    if aimed.key:
        return Choice(strategy="cascade", wanted=aimed.key, reason=f"answers can be counted ({aimed.key.kind})")
    if aimed.code and aimed.code.examples and company.runs_code:
        return Choice(strategy="cascade", code=aimed.code, reason="code is chosen by what it does")
    chosen = _keyless(request, company)
    return replace(chosen, code=aimed.code) if chosen.strategy == "select" else chosen


def _one(reason: str, key: Wanted | None = None, lacks: tuple[str, ...] = ()) -> Choice:
    """The best member alone."""
    return Choice(strategy="single", because=None if key else "no_key", reason=reason, best=True, lacks=lacks)


def _alone(request: Request, key: Wanted | None, company: Company) -> str | None:
    """Why one member is to answer whatever is asked; None: no reason."""
    if len(company.calls) + len(company.escalation) <= 1:
        context = any(skip.reason == "context" for skip in company.skipped)
        return "only one member can hold the request" if context else "only one member may answer"
    told = "\n".join(cues.shortened(message.text) for message in request.messages if message.role == "system")
    asked = f"{told}\n{cues.shortened(question_of(request))}"
    if _GAP.search(asked):
        return "something is to be filled in"
    if is_chore(request):
        return "a client's chore"
    temperature = request.sampling.temperature or 0.0
    if temperature > DRAWN or (temperature == DRAWN and key is None):
        return f"a draw is wanted (temperature {temperature:g})"
    return None


def _keyless(request: Request, company: Company) -> Choice:
    """How an answer that cannot be counted is fused, if at all."""
    question = cues.shortened(question_of(request))
    if len({call.member.name for call in company.calls}) < 2:
        return _one("only one member of the panel may answer")
    if any(isinstance(part, ImagePart) for message in request.messages for part in message.parts):
        return _one("a judge reads no attachments")
    if request.sampling.max_tokens is not None and request.sampling.max_tokens <= BRIEF:
        return _one("only a few words are wanted")
    if about_code(question):
        return _read_by("select", "code", company.judge, request, company)
    if _CREATIVE.search(question):
        return _one("one voice is wanted: creative writing, or a style")
    return _read_by("synthesize", "prose", company.writer, request, company)


def _read_by(strategy: StrategyName, what: str, reader: Member | None, request: Request, company: Company) -> Choice:
    """Fused by a judge or writer, if it is strong enough and can hold the drafts."""
    role = "judge" if strategy == "select" else "writer"
    if reader is None:
        return _one(f"{what}, without a {role}", lacks=(role,))
    if not strong(reader):
        return _one(f"{what}, and the {role} is not strong enough")
    tokens = text_bytes(request) / USUAL_BYTES_PER_TOKEN + DRAFT_TOKENS * len(company.calls)
    if reader.context is not None and tokens > READABLE * reader.context:
        return _one(f"{what}, and too long for the {role} to hold with the drafts")
    return Choice(strategy=strategy, reason=f"{what}, and the {role} is strong enough")
