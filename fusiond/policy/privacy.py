"""How far a request may go: which of several wishes holds, and where its members may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from fusiond.config.tree import Place, Privacy

_LEVELS: tuple[Privacy, ...] = get_args(Privacy)  # from the loosest to the strictest
_REACH: Mapping[Privacy, tuple[Place, ...]] = {"any": ("local", "lan", "remote"), "lan": ("local", "lan"), "local": ("local",)}


def strictest(*levels: Privacy | None) -> Privacy:
    """The level that satisfies all of them. None is no wish, and without any wish a request may go anywhere."""
    return max((level for level in levels if level is not None), key=_LEVELS.index, default="any")


def allows(privacy: Privacy, place: Place) -> bool:
    """Whether a request of this privacy may be shown to a member at this place."""
    return place in _REACH[privacy]


def loosens(wish: Privacy, current: Privacy) -> bool:
    """Whether the wish would let the request go further than it may now."""
    return _LEVELS.index(wish) < _LEVELS.index(current)
