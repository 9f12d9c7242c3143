"""What tables must say to each other, and which values make sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusiond.config import ConfigErrors, load
from fusiond.config.tree import PRIVATE_KEY
from fusiond.guard import fault

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


CASCADE = "strategy = 'cascade'\npanel = ['qwen']\n"


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
        "[fusions.f]\nstrategy = 'cascade'\npanel = ['qwen']\nescalate = ['gemma', 'ollama/x:1b']\nthrift = 0\naccept = 0.01",
        "[fusions.f]\nstrategy = 'cascade'\npanel = ['qwen']\nescalate = ['gemma']\nspend = 1",
        "[fusions.f]\nstrategy = 'cascade'\npanel = ['qwen']",
        "[fusions.f]\npanel = ['qwen']\nprivacy = 'lan'\nmax_cost_usd = 0.5\n[privacy]\ndefault = 'lan'\n[budget]\nper_request_usd = 0.5",
        "[fusions.f]\npanel = ['qwen']\nprivacy = 'local'\nmax_cost_usd = 0",
        "[fusions.f]\npanel = ['qwen']\nmax_cost_usd = 5\n[budget]\nper_day_usd = 1",
        "[fusions.f]\npanel = ['qwen']\n[[routes]]\nuse = 'fusion/f'\nwhen = { tools = false, task = 'prose' }\n[[routes]]\nuse = 'qwen'",
        "[[routes]]\nuse = 'fusion'\nwhen = { task = 'json' }\n[[routes]]\nuse = 'ollama/x'\nwhen = { max_prompt_tokens = 1 }",
        "[[routes]]\nuse = 'openrouter/fusion'\n[[routes]]\nuse = 'mine'\n[aliases]\nmine = 'qwen'\n'gpt-4o' = 'auto'",
        "[privacy]\nnever_remote = []",
        "[privacy]\nnever_remote = ['(?i)secret', '\\bIBAN\\b']",
        "[budget]\nper_request_usd = 0\nper_day_usd = 0\nper_month_usd = 0",
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
        ("provider = 'ollama'\nmodel = 'm'\nprice = { input = '1', output = 0 }", "members.x.price.input: must be a number, not a string"),
        ("provider = 'ollama'\nmodel = 'm'\nprice = { input = 1e7, output = 0 }", "members.x.price.input: must be at most 1000000"),
        ("provider = 'ollama'\nmodel = 'm'\nprice = { input = -0.1, output = 0 }", "members.x.price.input: must be at least 0"),
        (
            "provider = 'lab'\nmodel = 'm'\noptions = { n = 2 }",
            "members.x.options.n: cannot be an option: it changes who answers, or what a call costs",
        ),
        ("provider = 'lab'\nmodel = 'm'\noptions = { max_tokens = 0 }", "members.x.options.max_tokens: must be a whole number of at least 1"),
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
        ("panel = ['qwen']\nstrategy = 'refine'", "judge: is missing: refine needs a judge, or a second member to criticise the first"),
        ("panel = ['qwen']\nstrategy = 'vote'\nrounds = 2", "rounds: is for the strategies synthesize, refine, adaptive"),
        ("panel = ['qwen']\nrounds = 0", "rounds: must be at least 1"),
        ("panel = ['qwen']\nrounds = 9", "rounds: must be at most 8"),
        ("panel = ['qwen']\nstrategy = 'synthesize'", "writer: is missing: synthesize needs a writer or a judge"),
        ("panel = ['qwen', 'gemma']\nquorum = 3", "quorum: is more than the panel's answers, which are 2"),
        ("panel = ['qwen']\nquorum = 0", "quorum: must be at least 1"),
        ("panel = ['qwen']\ndeadline_seconds = 0", "deadline_seconds: must be more than 0"),
        ("panel = ['qwen']\ngrace_seconds = -1", "grace_seconds: must be at least 0"),
        ("panel = ['qwen']\nmax_cost_usd = -0.01", "max_cost_usd: must be at least 0"),
        ("panel = ['qwen']\nmax_cost_usd = 1e10", "max_cost_usd: must be at most 1000000000"),
        ("panel = ['qwen']\nstrategy = 'vote'\nescalate = ['gemma']", "escalate: is for the strategies cascade and adaptive"),
        ("panel = ['qwen']\nstrategy = 'vote'\nthrift = 0.2", "thrift: is for the strategies cascade and adaptive"),
        ("panel = ['qwen']\nstrategy = 'vote'\naccept = 0.9", "accept: is for the strategies cascade and adaptive"),
        (f"{CASCADE}accept = 0", "accept: must be more than 0 and at most 1"),
        (f"{CASCADE}accept = 1.01", "accept: must be more than 0 and at most 1"),
        (f"{CASCADE}thrift = -0.1", "thrift: must be at least 0"),
        ("strategy = 'vote'\npanel = ['qwen']\nspend = 0.3", "spend: is for the strategies cascade and adaptive"),
        (f"{CASCADE}spend = 0", "spend: must be more than 0 and at most 1"),
        (f"{CASCADE}spend = 1.5", "spend: must be more than 0 and at most 1"),
        (f"{CASCADE}spend = 0.3\nthrift = 0.2", "thrift: follows from spend by itself: leave one of the two out"),
        (f"{CASCADE}escalate = ['gema']", "escalate[0]: there is no member 'gema' (did you mean 'gemma'?)"),
        (f"{CASCADE}escalate = ['gemma', 'gemma']", "escalate[1]: names 'gemma', who is asked already"),
        (f"{CASCADE}escalate = ['qwen']", "escalate[0]: names 'qwen', who is asked already"),
        (f"{CASCADE}escalate = ['ollama/*']", "escalate[0]: must be one member, and 'ollama/*' stands for several"),
        (f"{CASCADE}escalate = ['lab/x']", "escalate[0]: provider 'lab' does not discover its models: 'lab/x' must be a member"),
        (f"{CASCADE}escalate = ['', '']", "escalate[0]: must not be empty\nfusions.f.escalate[1]: must not be empty"),
    ],
)
def test_fusions(tmp_path: Path, text: str, expected: str) -> None:
    """Everybody whom a fusion names can be asked, and the recipe has what its strategy needs."""
    assert "\n".join(errors(tmp_path, f"[fusions.f]\n{text}")) == f"fusions.f.{expected}"


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[fusions.f]\npanel = ['qwen']\nprivacy = 'any'\n[privacy]\ndefault = 'lan'",
            "fusions.f.privacy: may only be stricter than privacy.default, which is 'lan'",
        ),
        (
            "[fusions.f]\npanel = ['qwen']\nprivacy = 'lan'\n[privacy]\ndefault = 'local'",
            "fusions.f.privacy: may only be stricter than privacy.default, which is 'local'",
        ),
        (
            "[fusions.f]\npanel = ['qwen']\nmax_cost_usd = 0.051\n[budget]\nper_request_usd = 0.05",
            "fusions.f.max_cost_usd: must be at most budget.per_request_usd, which is 0.05",
        ),
        ("[budget]\nper_request_usd = -1", "budget.per_request_usd: must be at least 0"),
        ("[budget]\nper_day_usd = -0.01", "budget.per_day_usd: must be at least 0"),
        ("[budget]\nper_month_usd = 1e300", "budget.per_month_usd: must be at most 1000000000"),
        ("[records]\nkeep_days = -1", "records.keep_days: must be at least 0"),
        ("[records]\nkeep_days = 36501", "records.keep_days: must be at most 36500"),
    ],
)
def test_limits(tmp_path: Path, text: str, expected: str) -> None:
    """Amounts make sense, and a fusion's own limits are no looser than everybody's."""
    assert errors(tmp_path, text) == [expected]


@pytest.mark.parametrize("pattern", ["(?=x)", "[", "(a", "a*", "", "\\1", "(?:a{1000}){1000}", "-----BEGIN [A-Z ]*PRIVATE KEY"])
def test_patterns(tmp_path: Path, pattern: str) -> None:
    """Whatever the search could not do, or would do for every request, is told in the words of its engine's keeper."""
    why = fault(pattern)
    assert errors(tmp_path, f"[privacy]\nnever_remote = ['x', '{pattern}']") == ([f"privacy.never_remote[1]: {why}"] if why else [])
    assert (why is None) == pattern.startswith("-")


def test_the_pattern_that_is_there_by_default_is_right() -> None:
    """It is not looked at again with every file, so that the engine need not be loaded for it."""
    assert fault(PRIVATE_KEY) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[routes]]\nuse = 'fusoin'", "routes[0].use: there is no model 'fusoin' (did you mean 'fusion'?)"),
        ("[[routes]]\nuse = 'qwen'\n[[routes]]\nuse = 'zzzzz'", "routes[1].use: there is no model 'zzzzz'"),
        ("[[routes]]\nuse = ''", "routes[0].use: must not be empty"),
        ("[[routes]]\nuse = 'lab/x'", "routes[0].use: there is no model 'lab/x'"),
        ("[[routes]]\nuse = 'ollama/*'", "routes[0].use: there is no model 'ollama/*'"),
        ("[[routes]]\nuse = 'auto'", "routes[0].use: 'auto' stands for the routes themselves"),
        ("[[routes]]\nuse = 'any'\n[aliases]\nany = 'auto'", "routes[0].use: 'any' stands for the routes themselves"),
        ("[[routes]]\nuse = 'qwen'\nwhen = { max_prompt_tokens = 0 }", "routes[0].when.max_prompt_tokens: must be at least 1"),
        (
            "[fusions.f]\npanel = ['qwen']\n[[routes]]\nuse = 'qwen'\nwhen = { tools = true }",
            "routes: what none of them matches goes to fusion/default, which is missing: add it, or a route without `when`",
        ),
        ("[fusions.f]\npanel = ['qwen']\n[aliases]\na = 'auto'", "aliases.a: there is no model 'auto'"),
    ],
)
def test_routes(tmp_path: Path, text: str, expected: str) -> None:
    """Each stands for a model that is served, and every request has one."""
    assert errors(tmp_path, text) == [expected]
