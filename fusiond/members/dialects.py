"""Where servers that speak OpenAI's protocol differ from it and from each other.

They have their own words for the end of an answer, give several calls the same place, cut characters in half, and count what is no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusiond.errors import Truncated
from fusiond.events import FinishReason

MOST_TOKENS = 10**9
"""No call has more."""

_REASONS: Mapping[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length"), "length"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use"), "tool_calls"),
    **dict.fromkeys(("content_filter", "safety", "recitation", "sensitive", "refusal"), "content_filter"),
}
"""By OpenAI, vLLM, text-generation-inference, and the compatible interfaces of Anthropic, Cohere, Google, Mistral and Zhipu."""


_SPOKEN = {"role", "content"}


def only_text(chunk: Any) -> str | None:
    """The text of a chunk that is as the protocol has it, and tells nothing else; None: it may tell something else, or be no chunk at all.

    Nearly every chunk is such a one, and every one costs time: nothing is called here that need not be.
    """
    try:
        (choice,) = chunk["choices"]
        delta = choice["delta"]
        text = delta["content"]
        if (
            type(text) is str
            and choice["finish_reason"] is None
            and choice["index"] == 0
            and (len(delta) == 1 or delta.keys() == _SPOKEN)
            and chunk["object"] == "chat.completion.chunk"
            and "error" not in chunk
            and not chunk.get("usage")
        ):
            return text
    except (KeyError, TypeError, ValueError):
        pass
    return None


def reason_of(told: str) -> FinishReason:
    """Why an answer ended. Raises Truncated for every other reason (`abort`, `network_error`): a cut answer must never look complete."""
    reason = _REASONS.get(told.lower())
    if reason is None:
        raise Truncated(f"the server broke the answer off ({told[:40]!r})")
    return reason


def count(told: object) -> int | None:
    """Tokens; None: not told. Raises ValueError where they are no number of tokens."""
    if told is None:
        return None
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told <= MOST_TOKENS:
        raise ValueError(f"no number of tokens ({type(told).__name__})")
    return told


class Places:
    """The tool calls of one answer, told apart. `made`: how many there are.

    Some servers give all calls the same index, or none: an id that is new there, with a name, begins another one.
    """

    __slots__ = ("_places", "made")

    def __init__(self) -> None:
        self._places: dict[tuple[int, str], int] = {}  # without an id: the call that was last spoken of at that index
        self.made = 0

    def of(self, index: int, call_id: str, name: str) -> int:
        """Which call a piece belongs to, counted from 0."""
        place = self._places.get((index, call_id))
        if place is None and not (call_id and name):
            place = self._places.get((index, ""))
        if place is None:
            place, self.made = self.made, self.made + 1
        self._places[index, call_id] = self._places[index, ""] = place
        return place


class Halves:
    """Texts in which a character may be cut in two, half a surrogate pair at the end of one piece and half at the beginning of the next."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {}

    def joined(self, field: str, text: str) -> str:
        """The next piece of a field, its half characters whole; a half without its other half is unreadable."""
        text = self._waiting.pop(field, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._waiting[field] = text[-1]
            text = text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def rest(self, field: str) -> str:
        """What is left of a field at its end."""
        return "\ufffd" if self._waiting.pop(field, "") else ""
