"""The only upstream I/O. One module per API; each knows its provider's protocol, and nothing of clients or strategies.

A provider's `stream` yields `Text`, `Thinking`, `ToolCall` and `Usage`, ends with `Finished`, and *raises* `MemberError` when that cannot be:
`listen` (in `members/listen.py`) turns that into the one `Failed`, so that no adapter has to.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from fusiond.catalog import Member, ProviderFacts
from fusiond.chat import Request
from fusiond.events import Event
from fusiond.members.patience import Patience


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One question to one member. `voice` names it in events: the member's name, with `#2`, `#3` for further samples.

    `deadline` is absolute (the loop's clock, seconds): the request's own, never later. `request` is what this member is asked: the client's
    own request with this call's sampling, or a judge's prompt.
    """

    voice: str
    member: Member
    request: Request
    deadline: float


class Provider(Protocol):
    """A server that runs models, as one revision of the configuration reaches it."""

    def stream(self, call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
        """Ask one member; every wait for the provider goes through `patience`."""

    async def discover(self) -> ProviderFacts:
        """What models there are. Does not raise: an unreachable provider is a fact (`error`)."""

    async def aclose(self) -> None:
        """Close every connection."""
