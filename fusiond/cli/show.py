"""`fusiond models`, `status` and `reload`: what the daemon says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusiond.cli.client import Client, Trouble
from fusiond.cli.terminal import say, show_json, show_table


def models(client: Client, *, as_json: bool) -> None:
    """What is served, and how every member is."""
    status, listed = client.get("/fusiond/status"), client.get("/v1/models")
    members: Mapping[str, Any] = status["members"]
    if as_json:
        show_json({**listed, "data": [{**entry, **_condition(members.get(entry["id"]))} for entry in listed["data"]]})
        return
    rows = [_model(entry, members.get(entry["id"])) for entry in listed["data"]]
    show_table(("model", "place", "state", "context", "size", "price", "why not"), rows)


def status(client: Client, *, as_json: bool) -> None:
    """How the daemon is."""
    told = client.get("/fusiond/status")
    if as_json:
        show_json(told)
        return
    requests = told["requests"]
    say(f"fusiond {told['version']} at {client.address}, revision {told['revision']}, {'ready' if told['ready'] else 'not ready'}")
    say(f"configuration: {told['config']['path'] or 'none, it runs on what it found'}")
    if told["config"]["error"]:
        say(f"the newest configuration was not taken: {told['config']['error']}", "red")
    say(f"requests: {requests['running']} running, {requests['waiting']} waiting, {requests['served']} served")
    for name, provider in told["providers"].items():
        if provider["error"]:
            say(f"provider {name}: {provider['error']}", "yellow")
    show_table(("member", "place", "state", "why not"), [(n, m["place"], m["state"], m["reason"] or "") for n, m in told["members"].items()])
    show_table(("fusion", "strategy", "panel"), [(f"fusion/{n}", f["strategy"], _panel(f)) for n, f in told["fusions"].items()])


def reload(client: Client, *, as_json: bool) -> int:
    """Have the configuration read again; 0, or 1 where it was not taken."""
    told = client.post("/fusiond/reload", {})
    if as_json:
        show_json(told)
    elif told["error"]:
        raise Trouble(f"the configuration was not taken: {told['error']}")
    else:
        say(f"revision {told['revision']} serves")
    return 1 if told["error"] else 0


def _condition(member: Mapping[str, Any] | None) -> dict[str, Any]:
    """How a member is; nothing for what is none, such as a fusion."""
    return {name: member[name] for name in ("place", "state", "reason")} if member else {}


def _model(entry: Mapping[str, Any], member: Mapping[str, Any] | None) -> tuple[str, ...]:
    context = str(entry.get("context_length") or "")
    if member is None:
        return entry["id"], "", "", context, "", "", ""
    price = member["price"]
    told = f"${price['input']} / ${price['output']}" if price else ("free" if member["place"] != "remote" else "unknown")
    return entry["id"], member["place"], member["state"], context, f"{member['size']:.3g}B", told, member["reason"] or ""


def _panel(fusion: Mapping[str, Any]) -> str:
    return ", ".join(f"{seat['member']} x{seat['samples']}" if seat["samples"] > 1 else seat["member"] for seat in fusion["panel"]) or "nobody yet"
