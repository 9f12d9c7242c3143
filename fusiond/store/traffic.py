"""What is known of the traffic, kept over restarts: one file of JSON.

It is written whole under another name, and then given its own, a moment after something was heard. No request waits for it, and none fails for it:
what a kill takes are the last moments' corrections of running means. A file that cannot be used is named with the reason, put aside under another
name, and begun anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from pydantic_core import to_json

from fusiond.config.schema import validator
from fusiond.places import private_directory
from fusiond.policy.traffic import LEAST, MOST, Heard, Mean, Traffic

log = logging.getLogger(__name__)

FILE, VERSION = "traffic.json", 1

KINDS = 500
"""So many kinds of traffic are remembered, of those that were heard last."""

Kind = tuple[str, str]
"""What was asked for (`fusion/NAME`) and the kind of vote key."""


class Unusable(ValueError):
    """What is in the file cannot be used. The message says why."""


class KnownTraffic:
    """Every kind of traffic that was heard lately, in `kinds`."""

    def __init__(self, directory: Path) -> None:
        self.kinds: dict[Kind, Traffic] = {}
        self._path = directory / FILE
        self._changed = False
        self._failing: str | None = None  # why it could not be written, while it cannot

    def hear(self, kind: Kind, heard: Heard, spend: float | None) -> None:
        """One more request of that kind; `spend`: the share that its fusion may spend."""
        known = self.kinds.pop(kind, Traffic())
        self.kinds[kind] = known.after(heard, spend)
        if len(self.kinds) > KINDS:
            del self.kinds[next(iter(self.kinds))]
        self._changed = True

    async def open(self) -> None:
        """Take up what an earlier daemon knew; of kinds heard meanwhile, too: it had heard more. Does not raise."""
        try:
            self.kinds |= await asyncio.to_thread(_read, self._path)
        except FileNotFoundError:
            return
        except Unusable as error:
            log.warning("%s cannot be used: %s; %s, and the means of lengths and prices begin anew", self._path, error, _put_aside(self._path))
        except OSError as error:
            log.warning("%s cannot be read: %s; the means of lengths and prices begin anew", self._path, error)

    async def save(self) -> None:
        """Write what has changed. Does not raise: what the disk refuses is tried again with the next change."""
        if not self._changed:
            return
        self._changed = False
        try:
            await asyncio.to_thread(_write, self._path, _told(self.kinds))
            self._failing = None
        except OSError as error:
            self._changed = True
            if self._failing != str(error):
                log.warning("%s cannot be written: %s; trying again", self._path, error)
            self._failing = str(error)


def _put_aside(path: Path) -> str:
    """What becomes of a file that cannot be used, in words."""
    aside = path.with_name(f"{FILE}.unusable")
    try:
        path.replace(aside)
    except OSError as error:
        return f"it is lost with the next change, since {aside.name} cannot be written ({error.strerror})"
    return f"it is {aside.name} now"


def _told(kinds: Mapping[Kind, Traffic]) -> bytes:
    """The file for these."""
    return to_json({"version": VERSION, "kinds": {" ".join(kind): traffic for kind, traffic in kinds.items()}}, indent=1)


def _read(path: Path) -> dict[Kind, Traffic]:
    """Blocks. Raises Unusable and OSError."""
    try:
        document = json.loads(path.read_bytes())
        version, kinds = document["version"], document["kinds"]
        if version == VERSION:
            found = validator(Traffic).validate_json(json.dumps(kinds))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unusable(f"it is damaged ({error})") from error
    if version != VERSION:
        raise Unusable(f"another fusiond wrote it (version {version}, this one knows {VERSION})")
    if wrong := next((name for name, traffic in found.items() if " " not in name or not _sound(traffic)), None):
        raise Unusable(f"it is damaged ({wrong!r} has figures that cannot be)")
    return {(name.rpartition(" ")[0], name.rpartition(" ")[2]): traffic for name, traffic in found.items()}


def _sound(traffic: Traffic) -> bool:
    return LEAST <= traffic.thrift <= MOST and all(mean.count >= 0 and mean.value >= 0 for mean in _means(traffic))


def _means(traffic: Traffic) -> Iterator[Mean]:
    for field in fields(traffic):
        match getattr(traffic, field.name):
            case Mean() as mean:
                yield mean
            case dict() as means:
                yield from means.values()


def _write(path: Path, data: bytes) -> None:
    """Whatever ends this process, the name stands for all of the old or all of the new. Blocks. Raises OSError."""
    if not path.parent.exists():
        private_directory(path.parent)
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
