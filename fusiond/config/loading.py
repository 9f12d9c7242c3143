"""A file's path in, a `Config` out: read, lay the files over each other, decode, check. All that is wrong is reported at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fusiond.config.errors import ConfigError, ConfigErrors, Fault
from fusiond.config.pending import take_out
from fusiond.config.rules import Names, broken
from fusiond.config.source import Sources, Table, read, take_out_unfit
from fusiond.config.tables import decode
from fusiond.config.tree import Config, FusionConfig, MemberConfig, Seat
from fusiond.places import configuration_directory

SYSTEM = Path("/etc/fusiond/config.toml")


def locate(cli_path: Path | None) -> Path | None:
    """The configuration's file: the command line's, `$FUSIOND_CONFIG`, the user's own, the system's; None where there is none of them.

    Raises ConfigErrors where the first two name a file that is not there.
    """
    named = cli_path or os.environ.get("FUSIOND_CONFIG")
    if named:
        return _present(Path(named).absolute())
    # A dangling link is a file that somebody wanted: loading it says what is wrong, passing over it would not.
    return next((path for path in candidates() if os.path.lexists(path)), None)


def candidates() -> tuple[Path, ...]:
    """Where a configuration is looked for when nothing names one, the first found wins."""
    return (configuration_directory() / "config.toml", SYSTEM)


class Reading:
    """A configuration that is read again and again. A file that once said something and is empty now is no wish: it is being written, or lost."""

    def __init__(self) -> None:
        self._spoken: frozenset[str] = frozenset()

    def load(self, path: Path) -> Config:
        """The configuration at *path*. Raises ConfigErrors with every error of every file.

        Without `[fusions]` all members together are the panel of a fusion `default` that votes.
        """
        path = path.absolute()
        try:
            sources = read(path)
        except FileNotFoundError:
            raise _absent(path) from None
        if emptied := [str(source.path) for source in sources.read if not source.table and str(source.path) in self._spoken]:
            raise ConfigErrors([ConfigError(file=file, reason="is empty: what it said before stays in force") for file in emptied], sources.files)
        config = _meant(sources)
        self._spoken = frozenset(str(source.path) for source in sources.read if source.table)
        return replace(config, path=str(path), files=sources.files, fusions=config.fusions or _default(config.members))


def load(path: Path) -> Config:
    """The configuration at *path*, read once. Raises ConfigErrors."""
    return Reading().load(path)


def _meant(sources: Sources) -> Config:
    """What the files say together; of those that cannot be read, and of what would follow from that, nothing more is said than that."""
    table = sources.merged()
    unfit = take_out_unfit(table)
    faults = take_out(table)
    config = decode(table, faults)
    faults = [*unfit, *_own(faults, unfit)]
    if sources.unread:
        faults = [fault for fault in faults if not fault.reason.startswith("is missing")]
    else:
        faults += _own(broken(config, _names(table, faults)), faults)
    if faults or sources.unread:
        raise ConfigErrors(sources.errors(faults), sources.files)
    return config


def _default(members: Mapping[str, MemberConfig]) -> dict[str, FusionConfig]:
    return {"default": FusionConfig(panel=tuple(Seat(member=name) for name in members))} if members else {}


def _names(table: Table, faults: Sequence[Fault]) -> Names:
    providers, members, fusions, aliases = (
        named if isinstance(named := table.get(key), dict) else {} for key in ("providers", "members", "fusions", "aliases")
    )
    # The fusion that `load` makes of all members can be named, too.
    undecided = {str(fault.path[1]) for fault in faults if fault.path[:1] == ("fusions",) and fault.path[2:] == ("strategy",)}
    return Names(providers=providers, members=members, fusions=fusions or {"default": None}, aliases=aliases, undecided=undecided)


def _own(broken: Iterable[Fault], faults: Sequence[Fault]) -> list[Fault]:
    """Without those about a value that *faults* name already, or one inside or around it: what follows from a mistake is no mistake of its own.

    A name (`members.NAME`) is judged apart from what its table says.
    """
    known = {fault.path for fault in faults}
    around = {path[:length] for path in known for length in range(len(path))}
    inside = (fault for fault in broken if known.isdisjoint(fault.path[:length] for length in range(len(fault.path) + 1)))
    return [fault for fault in inside if len(fault.path) <= 2 or fault.path not in around]


def _present(path: Path) -> Path:
    if not os.path.lexists(path):
        raise _absent(path)
    return path


def _absent(path: Path) -> ConfigErrors:
    return ConfigErrors([ConfigError(file=str(path), reason=f"there is no such file: {path}")])
