"""What kind of key a request asks for, told from its own words.

The last user message decides, with what the system messages say about the form of the answer. A clear instruction about the answer
("answer yes or no") outweighs everything, a wish for prose or code outweighs a question's wording, and where nothing is clear
there is no key.
"""

from __future__ import annotations

from functools import cached_property

from fusiond.chat import Request
from fusiond.config.tree import KeyKind
from fusiond.keys import cues, questions
from fusiond.keys.options import alternatives, labels, lettered, named_letters
from fusiond.keys.wants import Form, Wanted

_YES_NO = ("yes", "no")
_MANY = 4
"""Options that are a choice though nothing says so, if nothing follows them."""
_BOOLEANS = frozenset(("yes no y n true false ja nein oui non sí si sì sim não да нет richtig falsch vrai faux vero falso").split())


def wanted(request: Request, kind: KeyKind | None = None) -> Wanted | None:
    """What the request wants to be told, or None where it is keyless. `kind` overrules the guess; tools leave no key."""
    question = _question(request)
    if not question.strip() or acts(request):
        return None
    asked = _Asked(question, _instructions(request))
    if kind is None:
        kind = "json" if request.format is not None else None if is_chore(request) else asked.kind()
    return None if kind is None else asked.wanted(kind)


def acts(request: Request) -> bool:
    """Whether tools may be called, be it in the words of the answer, as some clients have it."""
    return (
        bool(request.tools) or any(message.role == "tool" for message in request.messages) or cues.TOOLED.search(_instructions(request)) is not None
    )


def is_chore(request: Request) -> bool:
    """Whether a client wants a title, tags or the like for a conversation, rather than an answer to what is said in it.

    Some clients send the instruction and the conversation as two user messages in a row.
    """
    latest = "\n".join(cues.shortened(message.text) for message in request.messages[-2:] if message.role == "user")
    return cues.CHORE.search(f"{_instructions(request)}\n{latest}") is not None


def wants_code(request: Request) -> bool:
    """Whether the request wants code, which is chosen by what it does and has no key."""
    return wanted(request) is None and not is_chore(request) and cues.is_code(cues.shortened(_question(request)))


def _question(request: Request) -> str:
    return next((message.text for message in reversed(request.messages) if message.role == "user"), "")


def _instructions(request: Request) -> str:
    return cues.shortened("\n".join(message.text for message in request.messages if message.role == "system"))


class _Asked:
    """A question and the instructions about its answer, searched for cues once and no more than needed."""

    def __init__(self, question: str, instructions: str) -> None:
        self.question = cues.own(cues.shortened(question))
        self.instructions = instructions
        self.all = f"{cues.standing(self.instructions)}\n{self.question}"
        self.options = lettered(self.question)
        self.place = cues.PLACE.search(self.all) is not None or cues.answer_field(self.all)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return labels(self.question) or labels(self.instructions)

    @cached_property
    def either(self) -> tuple[str, ...]:
        return alternatives(self.question)

    def kind(self) -> KeyKind | None:
        """The kind that is asked for: by instruction, else by the question's own wording."""
        if not self.place and cues.WRITING.search(self.question):
            return "json" if cues.is_json(self.all) and not cues.is_code(self.question) else None
        if not self.place and not self.options and cues.is_code(self.question):
            return self.about_code()
        return self.instructed() or (self.placed() if self.place else None if cues.PROSE.search(self.question) else self.worded())

    def about_code(self) -> KeyKind | None:
        """The kind of a question about code that stands there, if its words say so; code that is to be written has none."""
        if cues.is_literal(self.question):
            return "text"
        return None if cues.CODE.search(self.question) else _Asked(cues.words_about(self.question), self.instructions).instructed()

    def instructed(self) -> KeyKind | None:
        """The kind that an instruction about the answer names."""
        if self.is_choice():
            return "choice"
        if cues.is_literal(self.question):
            return "text"
        if cues.BOOLEAN.search(self.all):
            return "boolean"
        if self.labels:
            return "boolean" if all(label.lower() in _BOOLEANS for label in self.labels) else "label"
        if not self.place and cues.is_json(self.all):
            return "json"
        if cues.ONLY_NUMBER.search(self.all):
            return "number"
        return "text" if not self.place and cues.ONLY_TEXT.search(self.all) else None

    def placed(self) -> KeyKind:
        """Kind of an answer that has a place made for it, whatever it is: a number where the question asks for one, else text."""
        return "number" if questions.is_number(self.question) else "text"

    def worded(self) -> KeyKind | None:
        """The kind that the bare question asks for."""
        if questions.PERSONAL.search(self.question):
            return None
        if questions.is_number(self.question):
            return "number"
        if self.either:
            return "label"
        if questions.is_yes_no(self.question):
            return "boolean"
        return "text" if questions.is_short_fact(self.question) else None

    def is_choice(self) -> bool:
        if cues.LETTER.search(self.all):
            return True
        if not self.options or not self.choosing():
            return False
        stem = self.question.partition(self.options["A"])[0]
        return self.place or cues.OFFERED.search(stem) is not None or not cues.PROSE.search(stem)

    def choosing(self) -> bool:
        """Whether the options are there to choose from: it is said, or they complete a sentence and end the question."""
        if cues.CHOOSING.search(self.all):
            return True
        ends = self.question.rstrip().endswith(list(self.options.values())[-1])
        return ends and (":\n" in self.question or len(self.options) >= _MANY)

    def wanted(self, kind: KeyKind) -> Wanted:
        match kind:
            case "choice":
                letters = tuple(self.options) or named_letters(self.all)
                return Wanted(kind="choice", options=letters, texts=self.options)
            case "boolean":
                return Wanted(kind="boolean", options=_YES_NO)
            case "label":
                return Wanted(kind="label", options=self.labels or self.either)
            case "text":
                return Wanted(kind="text", form=self.form())
            case "number" | "json":
                return Wanted(kind=kind)

    def form(self) -> Form:
        if cues.is_literal(self.question):
            return "literal"
        return "words" if not self.place or questions.is_short_fact(self.question) or cues.ONLY_TEXT.search(self.question) else "string"
