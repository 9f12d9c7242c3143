"""OpenAI's list of models: what can be asked for, by the names that are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A served model. `created`: seconds since 1970; `owned_by`: the provider, or the daemon for its fusions; `context`: tokens, None: unknown."""

    id: str
    created: int
    owned_by: str = "fusiond"
    context: int | None = None


def models(entries: Iterable[ModelEntry]) -> bytes:
    """The body of `GET /v1/models`."""
    return json.dumps({"object": "list", "data": [_object(entry) for entry in entries]}).encode()


def model(entry: ModelEntry) -> bytes:
    """The body of `GET /v1/models/{id}`."""
    return json.dumps(_object(entry)).encode()


def _object(entry: ModelEntry) -> dict[str, Any]:
    told: dict[str, Any] = {"id": entry.id, "object": "model", "created": entry.created, "owned_by": entry.owned_by}
    return told if entry.context is None else told | {"context_length": entry.context}
