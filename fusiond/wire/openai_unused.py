"""What of a body's messages and tools is not used, although it was accepted: each name once, by the path where it stands first.

Almost every body has nothing of the kind: that is what is quick here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from fusiond.wire.openai_body import AssistantCall, CalledFunction, ContentPart, ImageUrl, OfferedFunction
from fusiond.wire.openai_overrides import FUSION_TOOL

_TURN = frozenset({"role", "content"})
_OF_ROLE = {"tool": _TURN | {"name", "tool_call_id"}, "assistant": _TURN | {"tool_calls"}}
_PART, _IMAGE, _CALL, _CALLED, _OFFERED = (
    frozenset(field.name for field in fields(shape)) for shape in (ContentPart, ImageUrl, AssistantCall, CalledFunction, OfferedFunction)
)
_TOOL = frozenset({"type", "function"})
_NOTHING: tuple[object, ...] = (None, "", [], {})
"""What asks for nothing, and is no loss."""

Told = dict[tuple[str, str], str]
"""The path of each name, by what it is a field of."""


def unused(raw: Mapping[str, Any]) -> Iterable[str]:
    """The paths, as in `messages[0].name`. *raw* has the shape of a body."""
    told: Told = {}
    for index, message in enumerate(raw["messages"]):
        content = message.get("content")
        if len(message) == 2 and type(content) is str:
            continue  # a role, and what was said
        used = _OF_ROLE.get(message["role"], _TURN)
        if not used.issuperset(message):
            _tell(told, f"messages[{index}]", message, used)
        if isinstance(content, list):
            _parts(told, index, content)
        if calls := message.get("tool_calls"):
            _calls(told, f"messages[{index}].tool_calls", calls)
    for place, tool in enumerate(raw.get("tools") or ()):
        used = _TOOL | {"parameters"} if tool.get("type") == FUSION_TOOL else _TOOL
        _call(told, f"tools[{place}]", tool, used, _OFFERED)
    return told.values()


def _parts(told: Told, index: int, content: list[dict[str, Any]]) -> None:
    for place, part in enumerate(content):
        if len(part) == 2 and "text" in part:
            continue  # a type, and the text
        if not _PART.issuperset(part):
            _tell(told, f"messages[{index}].content[{place}]", part, _PART)
        if isinstance(image := part.get("image_url"), dict) and not _IMAGE.issuperset(image):
            _tell(told, f"messages[{index}].content[{place}].image_url", image, _IMAGE)


def _calls(told: Told, path: str, calls: list[dict[str, Any]]) -> None:
    for place, call in enumerate(calls):
        _call(told, f"{path}[{place}]", call, _CALL, _CALLED)


def _call(told: Told, path: str, call: Mapping[str, Any], used: frozenset[str], inside: frozenset[str]) -> None:
    """What has a `function` inside."""
    if not used.issuperset(call):
        _tell(told, path, call, used)
    if (function := call.get("function")) and not inside.issuperset(function):
        _tell(told, f"{path}.function", function, inside)


def _tell(told: Told, path: str, named: Mapping[str, Any], used: frozenset[str]) -> None:
    for name, value in named.items():
        if name not in used and value not in _NOTHING:
            told.setdefault((path.rpartition("[")[0], name), f"{path}.{name}")
