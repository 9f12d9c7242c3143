"""The recorded models as one OpenAI-compatible upstream: each says what it said then to the question it is asked, which is known by its text.

Of a reasoner's further samples only the key was kept: they say that alone, in the form that their question asks for. Which sample is meant is told by
the seed, which the daemon counts up from the client's own. Prints its port, and runs until it is terminated.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from bench.recorded import SETS
from bench.upstream import Connection, streamed

Replies = Mapping[str, Mapping[str, Any]]
"""Question -> model -> its answer."""

UNKNOWN = b'{"error":{"message":"no such question was recorded","type":"invalid_request_error","param":null,"code":null}}'


def replies() -> Replies:
    """Every question of the sets whose texts were kept."""
    return {record["question"]: record["answers"] for each in SETS if each.texts for record in each.records()}


def sample(answer: Mapping[str, Any], draw: int) -> tuple[str, int]:
    """The text of the first or a further (1, 2, ...) sample, and its completion tokens."""
    if draw == 0:
        return answer["text"], answer["completion_tokens"]
    further = answer["more"][draw - 1]
    key = further["extracted"]
    return "I cannot tell." if key is None else f"<answer>{key}</answer>", further["completion_tokens"]


class Recorded(Connection):
    """One client of it."""

    def __init__(self, known: Replies) -> None:
        super().__init__()
        self._known = known

    def answer(self, body: bytes) -> None:
        """What the model said. A question that was not recorded is a bad request."""
        asked = json.loads(body)
        found = self._known.get(asked["messages"][-1]["content"], {}).get(asked["model"])
        if found is None:
            self.write(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(UNKNOWN), UNKNOWN))
            return
        text, tokens = sample(found, asked.get("seed", 0))
        self.write(streamed(text, prompt_tokens=found["prompt_tokens"], completion_tokens=tokens))


async def serve() -> None:
    """Answer on a free port of the loopback interface until terminated."""
    known = replies()
    server = await asyncio.get_running_loop().create_server(lambda: Recorded(known), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
