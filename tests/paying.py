"""A provider that is paid, servers that are not, a daemon's configuration with both, and what a client of it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.openrouter import Listing, OpenRouterUpstream
from tests.upstreams.script import Finish, Say, Script

YES, NO = Script(Say("Yes."), Finish()), Script(Say("No."), Finish())
MINI, DEAR, FREE = "x/mini", "x/dear", "x/free"
LISTINGS = {
    MINI: Listing(prompt="0.000000123456789", completion="0.000002000000007"),
    DEAR: Listing(prompt="0.00001", completion="0.00005"),
    FREE: Listing(prompt="0", completion="0"),
    "x/unknown": Listing(prompt="-1", completion="-1"),
}
MEMBERS = {"mini": MINI, "dear": DEAR, "free": FREE, "unknown": "x/unknown"}
HASTY = '[members.hasty]\nprovider = "router"\nmodel = "x/mini"\nstall_seconds = 0.2\n'
FUSION = '[fusions.default]\nstrategy = "vote"\npanel = ["a", "mini"]\n'
QUESTION = "Is 7 prime? Answer yes or no."


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a client was told."""

    status: int
    headers: Mapping[str, str]
    text: str = ""
    usage: Any = None
    trace: Any = None
    error: Any = None


def told(response: aiohttp.ClientResponse, said: str) -> Told:
    """An answer in one piece or in many, or an error."""
    if response.content_type != "text/event-stream":
        body = json.loads(said)
        text = body["choices"][0]["message"]["content"] if "choices" in body else ""
        return Told(
            status=response.status, headers=response.headers, text=text, usage=body.get("usage"), trace=body.get("fusion"), error=body.get("error")
        )
    chunks = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: ") and line != "data: [DONE]"]
    last: dict[str, Any] = {name: value for chunk in chunks for name, value in chunk.items()}
    text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk.get("choices", ()))
    assert said.endswith("data: [DONE]\n\n") == ("error" not in last)
    return Told(
        status=response.status, headers=response.headers, text=text, usage=last.get("usage"), trace=last.get("fusion"), error=last.get("error")
    )


def configuration(router: OpenRouterUpstream, lab: OpenAIUpstream, *, budget: str | None, fusions: str = "", members: str = "") -> str:
    """What such a daemon runs on."""
    text = f'[providers.router]\napi = "openrouter"\nurl = "{router.url}"\napi_key = {{ env = "OPENROUTER_API_KEY" }}\n'
    text += f'[providers.lab]\napi = "openai"\nurl = "{lab.url}"\n'
    text += "".join(f'[members.{name}]\nprovider = "router"\nmodel = "{model}"\n' for name, model in MEMBERS.items())
    text += "".join(f'[members.{name}]\nprovider = "lab"\nmodel = "{name}"\n' for name in "abc")
    return text + members + (fusions or FUSION) + (f"[budget]\n{budget}\n" if budget else "")
