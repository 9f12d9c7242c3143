"""The only upstream I/O. One module per API; each knows its provider's protocol, and nothing of clients or strategies.

A provider's `stream` yields `Text`, `Thinking`, `ToolCall` and `Usage`, ends with `Finished`, and *raises* `MemberError` when that cannot be:
`listen` (in `members/listen.py`) turns that into the one `Failed`, so that no adapter has to.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # who calls or is called loads these, with the first question
    from fusiond.call import Call
    from fusiond.catalog import Member, ProviderFacts
    from fusiond.events import Event
    from fusiond.members.patience import Patience

State = Literal["ready", "cold", "loading"]
"""Of a member's model: in memory, not in memory, on its way."""


class Provider(Protocol):
    """A server that runs models, as one revision of the configuration reaches it."""

    def stream(self, call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
        """Ask one member; every wait for the provider goes through `patience`."""

    def state(self, member: Member) -> State:
        """How the member's model is, from memory."""

    async def recall(self) -> ProviderFacts | None:
        """What is known of the models without asking for it; None: nothing."""

    async def discover(self) -> ProviderFacts:
        """What models there are. Does not raise: an unreachable provider is a fact (`error`)."""

    async def aclose(self) -> None:
        """Close every connection."""
