"""How the daemon starts: without any configuration, on what it finds; and not at all where its configuration is wrong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.serving import answer, configured, failed, question, serving, status
from tests.upstreams.ollama import Model, OllamaUpstream
from tests.upstreams.openrouter import OpenRouterUpstream
from tests.upstreams.script import Finish, Say, Script

LETTER = "Which is a fruit?\nA) stone\nB) apple\nAnswer with the letter."
GIB = 1024**3
MODELS = {
    "tiny:1b": Model(size=GIB // 8),
    "small:2b": Model(size=GIB // 4),
    "large:4b": Model(size=GIB // 3),
    "medium:3b": Model(size=GIB // 3 - 1),
    "vast:999b": Model(size=1 << 60),
    "embed:1b": Model(size=GIB // 2, capabilities=("embedding",)),
}
SCRIPTS = {name: Script(Say("B"), Finish()) for name in MODELS}


def panel_of(told: dict[str, object], fusion: str = "default") -> list[str]:
    """The members of a fusion, as the status shows them."""
    fusions = told["fusions"]
    assert isinstance(fusions, dict)
    return [seat["member"] for seat in fusions[fusion]["panel"]]


@pytest.fixture
def empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short_path: Path) -> Path:
    """A user who has just been made. Returns where the daemon's socket will be."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return short_path / "fusiond" / "fusiond.sock"


async def test_without_configuration_the_largest_models_that_fit_are_the_panel(empty_home: Path) -> None:
    """Three of Ollama's models vote: not those that are too large for this machine, nor those that cannot chat."""
    async with OllamaUpstream(SCRIPTS, models=MODELS) as ollama, serving("--listen", "unix", environment={"OLLAMA_HOST": ollama.url}) as daemon:
        async with daemon.client(empty_home) as client:
            assert await answer(client, "fusion", LETTER) == "B"
            told = await status(client)
        assert panel_of(told) == ["ollama/large:4b", "ollama/medium:3b", "ollama/small:2b"]
        assert told["config"] == {"path": None, "error": None}
        assert "ollama/embed:1b" not in told["members"]
        assert {chat.model for chat in ollama.chats} <= {"large:4b", "medium:3b", "small:2b"}  # two of them may settle it


async def test_without_configuration_the_loaded_models_are_the_panel(empty_home: Path) -> None:
    """What Ollama has in memory answers at once, so nothing else is asked."""
    upstream = OllamaUpstream(SCRIPTS, models=MODELS, loaded=["tiny:1b"])
    async with (
        upstream as ollama,
        serving("--listen", "unix", environment={"OLLAMA_HOST": ollama.url}) as daemon,
        daemon.client(empty_home) as client,
    ):
        assert await answer(client, "fusion", LETTER, stream=True) == "B"
        assert panel_of(await status(client)) == ["ollama/tiny:1b"]


async def test_without_ollama_it_lives(empty_home: Path) -> None:
    """Alive whether a model is there or not; ready only if the built-in one is, and else with the reason."""
    with socket.socket() as nobody:  # bound, but not listening: refused for as long as this lasts
        nobody.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{nobody.getsockname()[1]}"
        async with serving("--listen", "unix", environment={"OLLAMA_HOST": host}) as daemon, daemon.client(empty_home) as client:
            await daemon.said(f"providers: ollama: http://{host}: ")
            await daemon.said("providers: builtin: ")
            async with client.get("/healthz") as alive, client.get("/readyz") as ready:
                assert alive.status == 200
                assert (await ready.json())["ready"] is (ready.status == 200) is any("builtin: 1 models" in line for line in daemon.log)


async def test_it_says_why_it_is_not_ready(tmp_path: Path) -> None:
    """503 with what is wrong with the provider; so is a question to a panel in which nobody sits."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        text = f'[providers.ollama]\napi = "ollama"\nurl = "{url}"\n[fusions.default]\npanel = ["ollama/*"]\n'
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            await daemon.said("providers:")
            async with client.get("/healthz") as alive, client.get("/readyz") as ready:
                assert (alive.status, ready.status) == (200, 503)
                assert f"ollama: {url}: " in (await ready.json())["reason"]
            async with client.post("/v1/chat/completions", json=question()) as response:
                assert response.status == 503
                assert "Retry-After" in response.headers


async def test_a_key_of_openrouter_waits_for_a_budget(tmp_path: Path) -> None:
    """A paid member is named with what it waits for; nothing is sent to it, and whoever asks for it alone is refused: 402."""
    async with OpenRouterUpstream({"lab/dear": Script(Say("B"), Finish())}) as openrouter:
        text = f"""
            [providers.openrouter]
            api = "openrouter"
            url = "{openrouter.url}"
            api_key = {{ env = "OPENROUTER_API_KEY" }}
            [members.dear]
            provider = "openrouter"
            model = "lab/dear"
        """
        arguments = configured(tmp_path, text)
        async with serving(*arguments, environment={"OPENROUTER_API_KEY": "sk-made-up"}) as daemon, daemon.client() as client:
            told = await status(client)
            assert told["members"]["dear"]["state"] == "unavailable"
            assert "[budget]" in told["members"]["dear"]["reason"]
            for model, refused in (("dear", 402), ("fusion", 402)):
                async with client.post("/v1/chat/completions", json=question(model)) as response:
                    assert response.status == refused
                    assert "[budget]" in (await response.json())["error"]["message"]
        assert openrouter.chats == []
        assert not any("sk-made-up" in line for line in daemon.log)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[members.a]\nmodle = 'x'\n", "members.a.modle: unknown key (did you mean 'model'?)"),
        ("[members.a\n", "is not valid TOML"),
        ("[local]\nmemory_gib = 8\n", "not supported yet"),
    ],
    ids=["unknown key", "no TOML", "not built"],
)
async def test_a_bad_configuration_ends_with_78(tmp_path: Path, text: str, told: str) -> None:
    """Said in one line for each mistake with its place, and never with a traceback."""
    code, log = await failed(*configured(tmp_path, text))
    assert code == 78
    assert any(told in line and line.startswith("config.toml: ") for line in log), log
    assert not any("Traceback" in line for line in log)


@pytest.mark.parametrize(
    ("more", "text", "told"),
    [
        ((), 'tokens = [{ env = "FUSIOND_TEST_NOPE" }]\n', "server.tokens[0]: $FUSIOND_TEST_NOPE is not set or empty"),
        (("--listen", "0.0.0.0:0"), "", "can be reached from other machines: that needs server.tokens"),
    ],
    ids=["no token", "open to all"],
)
async def test_without_a_token_that_is_needed_it_ends_with_78(tmp_path: Path, more: tuple[str, ...], text: str, told: str) -> None:
    """To try again would change nothing."""
    code, log = await failed(*configured(tmp_path, text), *more)
    assert (code, len(log)) == (78, 1)
    assert told in log[0]


async def test_a_file_that_is_not_there_ends_with_78(tmp_path: Path) -> None:
    """A configuration that was named must be there."""
    code, log = await failed("--config", str(tmp_path / "absent.toml"))
    assert (code, len(log)) == (78, 1)
    assert "there is no such file" in log[0]
