"""What tables must say to each other, and which values make sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusiond.config import ConfigErrors, load

BASE = """
[providers.ollama]
api = "ollama"
[providers.lab]
api = "openai"
url = "http://127.0.0.1:8000/v1"
[providers.builtin]
api = "llamacpp"
[members.qwen]
provider = "ollama"
model = "qwen3:8b"
[members.gemma]
provider = "lab"
model = "gemma"
"""


def errors(tmp_path: Path, text: str) -> list[str]:
    """What is wrong with the base and *text*, without the file and the line."""
    path = tmp_path / "config.toml"
    path.write_text(BASE + text)
    try:
        load(path)
    except ConfigErrors as wrong:
        return [str(error).removeprefix("config.toml: ").rsplit(" [line", 1)[0] for error in wrong.errors]
    return []


@pytest.mark.parametrize(
    "text",
    [
        "[fusions.f]\npanel = ['qwen', 'gemma', 'ollama/*', 'ollama/llama3.2:1b', 'builtin/smollm2', 'builtin/*']\njudge = 'ollama/other'",
        "[fusions.f]\nstrategy = 'select'\npanel = ['qwen']\njudge = 'gemma'",
        "[fusions.f]\nstrategy = 'synthesize'\npanel = ['qwen']\nwriter = 'gemma'",
        "[fusions.f]\npanel = [{ member = 'qwen', samples = 3 }]\nquorum = 3",
        "[fusions.f]\npanel = ['qwen', 'ollama/*']\nquorum = 9",
        "[fusions.default]\npanel = ['qwen']\n[aliases]\na = 'fusion'\nb = 'fusion/default'\nc = 'qwen'\nd = 'ollama/x:1b'\ne = 'openrouter/fusion'",
        "[aliases]\na = 'fusion'",
        "[server]\nlisten = ['127.0.0.1:0', '127.0.0.1:0', '[::1]:80', 'localhost:80', 'unix:/run/x.sock', 'unix']",
        "[server]\nlisten = ['0.0.0.0:80']\ntokens = [{ env = 'T' }]",
        "[server]\nallowed_hosts = ['box.lan', 'box.lan:8080']\nallowed_origins = ['https://example.org', 'app://obsidian.md', 'http://a:1']",
        "[members.'meta/llama:8b']\nprovider = 'lab'\nmodel = 'x'",
        "[providers.o]\napi = 'ollama'\nkeep_alive = '-1m'\nurl = 'https://example.org/ollama/'",
    ],
)
def test_right(tmp_path: Path, text: str) -> None:
    """What is allowed."""
    assert errors(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("provider = 'olama'\nmodel = 'm'", "members.x.provider: there is no provider 'olama' (did you mean 'ollama'?)"),
        ("provider = 'ollama'\nmodel = ''", "members.x.model: must not be empty"),
        ("provider = 'ollama'\nmodel = 'm'\ncontext = 255", "members.x.context: must be at least 256"),
        ("provider = 'ollama'\nmodel = 'm'\nskill = 0", "members.x.skill: must be between 0 and 1, and neither of them"),
        ("provider = 'ollama'\nmodel = 'm'\nskill = 1.0", "members.x.skill: must be between 0 and 1, and neither of them"),
        ("provider = 'ollama'\nmodel = 'm'\nsize = 0", "members.x.size: must be more than 0"),
        ("provider = 'ollama'\nmodel = 'm'\nstall_seconds = 0", "members.x.stall_seconds: must be more than 0"),
        ("provider = 'ollama'\nmodel = 'm'\nprice = { input = -0.1, output = 0 }", "members.x.price.input: must be at least 0"),
    ],
)
def test_members(tmp_path: Path, text: str, expected: str) -> None:
    """A member's provider exists, and its figures make sense."""
    assert errors(tmp_path, f"[members.x]\n{text}") == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "panel: must name at least one member"),
        ("panel = []", "panel: must name at least one member"),
        ("panel = ['qwn']", "panel[0]: there is no member 'qwn' (did you mean 'qwen'?)"),
        ("panel = ['qwen', { member = 'other/x' }]", "panel[1]: there is no member 'other/x'"),
        ("panel = ['lab/x']", "panel[0]: provider 'lab' does not discover its models: 'lab/x' must be a member"),
        ("panel = ['ollama/']", "panel[0]: there is no member 'ollama/'"),
        ("panel = ['qwen', { member = 'qwen', samples = 2 }]", "panel: names 'qwen' more than once: give it several samples"),
        ("panel = [{ member = 'qwen', samples = 0 }]", "panel[0].samples: must be at least 1"),
        ("panel = [{ member = 'qwen', temperature = -1 }]", "panel[0].temperature: must be at least 0"),
        ("panel = ['qwen']\njudge = 'gema'", "judge: there is no member 'gema' (did you mean 'gemma'?)"),
        ("panel = ['qwen']\njudge = 'ollama/*'", "judge: must be one member, and 'ollama/*' stands for several"),
        ("panel = ['qwen']\nwriter = ''", "writer: must not be empty"),
        ("panel = ['qwen']\nstrategy = 'select'", "judge: is missing: select needs a judge"),
        ("panel = ['qwen']\nstrategy = 'synthesize'", "writer: is missing: synthesize needs a writer or a judge"),
        ("panel = ['qwen', 'gemma']\nquorum = 3", "quorum: is more than the panel's answers, which are 2"),
        ("panel = ['qwen']\nquorum = 0", "quorum: must be at least 1"),
        ("panel = ['qwen']\ndeadline_seconds = 0", "deadline_seconds: must be more than 0"),
        ("panel = ['qwen']\ngrace_seconds = -1", "grace_seconds: must be at least 0"),
    ],
)
def test_fusions(tmp_path: Path, text: str, expected: str) -> None:
    """Everybody whom a fusion names can be asked, and the recipe has what its strategy needs."""
    assert errors(tmp_path, f"[fusions.f]\n{text}") == [f"fusions.f.{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listen = []", "listen: must have at least one address"),
        ("listen = ['unix', 'unix']", "listen[1]: is the same as listen[0]"),
        ("listen = ['[::1]:80', '[0::1]:80']", "listen[1]: is the same as listen[0]"),
        ("listen = ['0.0.0.0:80']", "listen[0]: can be reached from other machines: that needs server.tokens"),
        ("listen = ['example.org:80']", "listen[0]: can be reached from other machines: that needs server.tokens"),
        ("listen = ['127.0.0.1']", "listen[0]: must be HOST:PORT, unix:PATH or unix"),
        ("tokens = [{}]", "tokens[0]: must have exactly one of env, file and credential"),
        ("tokens = [{ env = 'A', file = '/b' }]", "tokens[0]: must have exactly one of env, file and credential"),
        ("tokens = [{ env = '' }]", "tokens[0]: must not be empty"),
        ("max_requests = 0", "max_requests: must be at least 1"),
        ("queue = -1", "queue: must be at least 0"),
        ("heartbeat_seconds = 0", "heartbeat_seconds: must be more than 0"),
        ("allowed_origins = ['https://a.b/']", "allowed_origins[0]: must be an origin such as https://example.org, without a path"),
        ("allowed_hosts = ['http://a']", "allowed_hosts[0]: must be a host's name, without a scheme or a path"),
    ],
)
def test_server(tmp_path: Path, text: str, expected: str) -> None:
    """Addresses, limits and the gate."""
    assert errors(tmp_path, f"[server]\n{text}") == [f"server.{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("url = 'ftp://a'", "url: must begin with http:// or https:// and name a host"),
        ("url = '127.0.0.1:11434'", "url: must begin with http:// or https:// and name a host"),
        ("url = 'http://'", "url: must begin with http:// or https:// and name a host"),
        ("url = 'http://a:99999'", "url: is not a URL"),
        ("url = 'http://a/v1?key=1'", "url: must not have a query or a fragment"),
        ("url = 'http://me:pw@a'", "url: must not hold a user or a password: give the key as api_key"),
        ("parallel = 0", "parallel: must be at least 1"),
        ("keep_alive = '5'", "keep_alive: must be a duration such as 5m, 1h30m or -1m (for ever)"),
    ],
)
def test_providers(tmp_path: Path, text: str, expected: str) -> None:
    """Where a provider is."""
    assert errors(tmp_path, f"[providers.p]\napi = 'ollama'\n{text}") == [f"providers.p.{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[aliases]\na = 'fusoin'", "aliases.a: there is no model 'fusoin' (did you mean 'fusion'?)"),
        ("[aliases]\na = 'b'\nb = 'qwen'", "aliases.a: 'b' is an alias itself: name what it stands for"),
        ("[aliases]\nqwen = 'gemma'", "aliases.qwen: this name is taken by a member"),
        ("[aliases]\nfusion = 'qwen'", "aliases.fusion: this name is taken: the daemon itself serves it"),
        ("[aliases]\n'fusion/x' = 'qwen'", 'aliases."fusion/x": this name is taken: the daemon itself serves it'),
        ("[members.auto]\nprovider = 'lab'\nmodel = 'x'", "members.auto: this name is taken: the daemon itself serves it"),
        (
            "[members.'a#2']\nprovider = 'lab'\nmodel = 'x'",
            'members."a#2": a name has at least one character, and neither white space nor any of # * " \' \\',
        ),
        (
            "[members.'']\nprovider = 'lab'\nmodel = 'x'",
            'members."": a name has at least one character, and neither white space nor any of # * " \' \\',
        ),
        ("[providers.'a/b']\napi = 'ollama'", 'providers."a/b": this name cannot have a slash: it stands before or after one'),
        ("[providers.fusion]\napi = 'ollama'", "providers.fusion: this name is taken: fusions are served as fusion/NAME"),
        ("[fusions.'a/b']\npanel = ['qwen']", 'fusions."a/b": this name cannot have a slash: it stands before or after one'),
    ],
)
def test_names(tmp_path: Path, text: str, expected: str) -> None:
    """Every served name means one thing."""
    assert errors(tmp_path, text) == [expected]
