"""`fusiond tune`: what recorded answers would change of a fusion; shown first, then written to a file of its own that the configuration includes."""

from __future__ import annotations

import os
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from shutil import copyfile
from typing import Any

import tomli_w

from fusiond.cli.client import Client, Trouble
from fusiond.cli.terminal import console, say, show_json, show_table
from fusiond.policy.belief import Voter
from fusiond.policy.traffic import rank
from fusiond.scoring.questions import BadSet
from fusiond.scoring.recorded import read_recorded
from fusiond.scoring.replay import Recorded, Said, Voice
from fusiond.scoring.tuning import FEWEST, Finding, Result, tuned

COUNTING = ("vote", "cascade", "adaptive")
USUAL_CALL = Said(key=None, prompt_tokens=1000, completion_tokens=500)
"""By which paid members are ranked."""

HEAD = "# Written by `fusiond tune`, from recorded answers. The configuration includes it; its own keys stand above these.\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be tuned, from which files. `out` None: `tuned.toml` beside the daemon's configuration."""

    recorded: tuple[Path, ...]
    model: str
    out: Path | None = None
    yes: bool = False
    dry_run: bool = False
    as_json: bool = False


def run(client: Client, wish: Wish) -> None:
    """Show what would change, then write it if that is wanted. Raises Trouble."""
    status = client.get("/fusiond/status")
    name = "default" if wish.model == "fusion" else wish.model.removeprefix("fusion/")
    fusion = _fusion(status, name, wish.model)
    panel = _voices(status["members"], fusion)
    records = _answered_by_all(_read(wish.recorded, status["members"]), panel)
    kinds = dict.fromkeys(record.kind for record in records)
    findings = [tuned(kind, panel, [record for record in records if record.kind == kind], fusion["thrift"]) for kind in kinds]
    path = wish.out or _beside(status["config"]["path"])
    text = _document(path, name, findings)
    if wish.as_json:
        show_json({"file": str(path), "text": text, "kinds": [asdict(finding) for finding in findings]})
    else:
        _show(findings)
        say(f"\n{path}:\n{text}" if text else "The defaults stay: no change shows a gain.")
    if text and not wish.dry_run and _agreed(path, wish):
        _write(path, text)
        _tell_include(status["config"]["path"], path, quiet=wish.as_json)


def _fusion(status: Mapping[str, Any], name: str, model: str) -> Mapping[str, Any]:
    fusion: Mapping[str, Any] | None = status["fusions"].get(name)
    if fusion is None:
        raise Trouble(f"there is no fusion '{model}' (there are {', '.join(f'fusion/{known}' for known in status['fusions'])})")
    if fusion["strategy"] not in COUNTING:
        raise Trouble(f"{model} does not count answers: only the strategies {', '.join(COUNTING)} can be tuned")
    return fusion


def _voices(members: Mapping[str, Any], fusion: Mapping[str, Any]) -> list[Voice]:
    """Everybody who may answer, as the vote knows them. Raises Trouble where a price is not known."""
    names = list(dict.fromkeys((*(seat["member"] for seat in fusion["panel"]), *fusion["escalate"])))
    prices = {name: _price(name, members[name]) for name in names}
    usual = {
        name: float(Voice(voter=Voter(name=name), price=price).costs(USUAL_CALL, USUAL_CALL.completion_tokens)) for name, price in prices.items()
    }
    return [_voice(name, members[name], prices[name], usual) for name in names]


def _voice(name: str, member: Mapping[str, Any], price: tuple[Decimal, Decimal] | None, usual: Mapping[str, float]) -> Voice:
    voter = Voter(
        name=name,
        member=name,
        paid=price is not None,
        reasoning=member["reasoning"],
        size=member["size"],
        rank=rank(usual[name], max(usual.values())) if price else 1.0,
        prior=member["skill"],
    )
    return Voice(voter=voter, price=price)


def _price(name: str, member: Mapping[str, Any]) -> tuple[Decimal, Decimal] | None:
    """USD per million tokens; None for a member that costs nothing."""
    told = member["price"]
    if told is None and member["place"] == "remote":
        raise Trouble(f"the price of {name} is not known: give its member one (price = {{ input = ..., output = ... }})")
    price = (Decimal(told["input"]), Decimal(told["output"])) if told else None
    return price if price and any(price) else None


def _read(paths: Sequence[Path], members: Mapping[str, Any]) -> list[Recorded]:
    """The records, under the members' names: they may have been made under those of their models."""
    known = {plain: name for name, member in members.items() for plain in (member["model"], _plain(member["model"]))}
    try:
        return read_recorded(paths, lambda recorded: recorded if recorded in members else known.get(recorded))
    except BadSet as bad:
        raise Trouble(str(bad)) from None


def _plain(model: str) -> str:
    return model.rpartition("/")[2].replace(":", "-")


def _answered_by_all(records: Sequence[Recorded], panel: Sequence[Voice]) -> list[Recorded]:
    """The questions that everybody answered: only these teach. Raises Trouble where there are none."""
    names = [voice.voter.name for voice in panel]
    whole = [record for record in records if all(name in record.said for name in names)]
    if not whole:
        heard = ", ".join(f"{name} {sum(name in record.said for record in records)}" for name in names)
        raise Trouble(f"no question was answered by everybody: of {len(records)} with a gold key, {heard}")
    return whole


def _show(findings: Sequence[Finding]) -> None:
    rows = [row for finding in findings for row in _rows(finding)]
    show_table(("kind", "questions", "", "right", "cost", "confidence off by", "thrift", "panel", "skills"), rows)
    for finding in findings:
        if finding.now.questions < FEWEST:
            say(f"{finding.kind}: too few questions to learn from: {FEWEST} are needed", "yellow")


def _rows(finding: Finding) -> list[tuple[str, ...]]:
    """The fusion as it is, and as it would be, on questions that did not teach it."""
    settings = (("now", finding.before, finding.now), ("tuned", finding.after, finding.then))
    rows: list[tuple[str, ...]] = [
        (finding.kind, str(result.questions), title, *_figures(result), f"{setting.thrift:.3g}", ", ".join(setting.panel), _skills(setting.skills))
        for title, setting, result in settings
    ]
    return rows if finding.after != finding.before else rows[:1]


def _figures(result: Result) -> tuple[str, str, str]:
    cost = f"{100 * result.cost:.0f}% of the strongest's" if result.cost else "nothing"
    return f"{100 * result.right:.1f}%", cost, f"{100 * result.confidence_error:.1f} points"


def _skills(skills: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {skill:.2f}" for name, skill in skills.items()) or "by size, kind and price"


def _document(path: Path, name: str, findings: Sequence[Finding]) -> str:
    """What the file would say: what it says of other fusions and kinds already, and what was found. Empty: nothing is to be written."""
    told = _written(path)
    before = deepcopy(told)
    kinds = _within(path, _within(path, _within(path, told, "fusions"), name), "kinds")
    for finding in findings:
        if finding.now.questions < FEWEST:
            continue  # they say nothing against what more of them have said
        kinds.pop(finding.kind, None)
        if table := _table(finding):
            kinds[finding.kind] = table
    told = _without_empty(told, ("fusions", name, "kinds"))
    return "" if told == _without_empty(before, ("fusions", name, "kinds")) else HEAD + tomli_w.dumps(told)


def _within(path: Path, table: dict[str, Any], key: str) -> dict[str, Any]:
    """The table of that name, which is made where there is none."""
    inner = table.setdefault(key, {})
    if not isinstance(inner, dict):
        raise Trouble(f"{path}: {key} is no table: take it away, or name another file with --out")
    return inner


def _without_empty(table: dict[str, Any], way: Sequence[str]) -> dict[str, Any]:
    """The same without the tables on this way that say nothing."""
    if not way or way[0] not in table:
        return table
    inner = _without_empty(table[way[0]], way[1:])
    return {key: inner if key == way[0] else value for key, value in table.items() if key != way[0] or inner}


def _table(finding: Finding) -> dict[str, Any]:
    """What is different from the fusion as it is."""
    before, after = finding.before, finding.after
    thrift = {"thrift": round(after.thrift, 4)} if after.thrift != before.thrift else {}
    panel = {"panel": list(after.panel)} if after.panel != before.panel else {}
    skills = {"skills": {name: round(skill, 3) for name, skill in after.skills.items()}} if after.skills else {}
    return {**thrift, **panel, **skills}


def _written(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Trouble(f"{path}: is no TOML ({error}): take it away, or name another file with --out") from None


def _beside(config: str | None) -> Path:
    if config is None:
        raise Trouble("the daemon runs without a configuration: write one first, or name a file with --out")
    return Path(config).parent / "tuned.toml"


def _agreed(path: Path, wish: Wish) -> bool:
    if wish.yes:
        return True
    if not (sys.stdin.isatty() and console.is_terminal):
        raise Trouble(f"{path} is not written: say --yes, or --dry-run if that is what you want")
    return console.input(f"Write {path}? [y/N] ").strip().lower() in ("y", "yes")


def _write(path: Path, text: str) -> None:
    """At once and whole, or not at all. What somebody has noted in it himself is kept beside it."""
    path = path.resolve()
    if path.exists() and any(line.startswith("#") for line in path.read_text(encoding="utf-8").removeprefix(HEAD).splitlines()):
        copyfile(path, path.with_name(f"{path.name}.bak"))
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _tell_include(config: str | None, path: Path, *, quiet: bool) -> None:
    """A file that nothing includes changes nothing."""
    included = _written(Path(config)).get("include", []) if config else []
    if config and path.resolve() not in [(Path(config).parent / name).resolve() for name in included]:
        raise Trouble(f'{path} is written, and not included yet: add it to the line include = ["{path.name}"] at the top of {config}')
    if not quiet:
        say(f"{path} is written")
