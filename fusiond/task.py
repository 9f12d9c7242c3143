"""What a request is about, for the routes of the model `auto`: told from the request itself."""

from __future__ import annotations

from fusiond.chat import Request
from fusiond.config.tree import Conditions, RouteConfig, Task
from fusiond.eligible import USUAL_BYTES_PER_TOKEN, text_bytes
from fusiond.keys import cues, is_chore, wanted


def task(request: Request) -> Task:
    """The kind of vote key that it asks for, else code where it is about code, else prose."""
    if asked := wanted(request):
        return asked.kind
    return "code" if about_code(question_of(request)) and not is_chore(request) else "prose"


def question_of(request: Request) -> str:
    """What the user said last."""
    return next((message.text for message in reversed(request.messages) if message.role == "user"), "")


def about_code(question: str) -> bool:
    """Whether code is asked for, or shown."""
    return "```" in question or cues.is_code(cues.shortened(question))


def routed(request: Request, routes: tuple[RouteConfig, ...], otherwise: str) -> str:
    """The model that `auto` stands for: that of the first route whose conditions all hold."""
    tokens = text_bytes(request) / USUAL_BYTES_PER_TOKEN
    about = task(request) if any(route.when.task for route in routes) else None

    def holds(when: Conditions) -> bool:
        return (
            (when.tools is None or when.tools == bool(request.tools))
            and (when.max_prompt_tokens is None or tokens <= when.max_prompt_tokens)
            and (when.task is None or when.task == about)
        )

    return next((route.use for route in routes if holds(route.when)), otherwise)
