"""What a file says becomes frozen values, strictly; what is wrong with it is said all at once, in the file's words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusiond.config import Config, ConfigError, ConfigErrors, FusionConfig, OllamaConfig, OpenRouterConfig, Price, Seat, Secret, load
from fusiond.config.source import SIZE_LIMIT
from fusiond.config.tree import BudgetConfig, Conditions, OfflineConfig, PrivacyConfig, RecordsConfig, RouteConfig

Write = Callable[[str], Path]

MINIMAL = """
[providers.ollama]
api = "ollama"

[members.qwen]
provider = "ollama"
model = "qwen3:8b"

[members.gemma]
provider = "ollama"
model = "gemma3:4b"
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a configuration and returns its path."""

    def written(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def errors(path: Path) -> list[str]:
    """What is said of the file, one error a line."""
    with pytest.raises(ConfigErrors) as wrong:
        load(path)
    return str(wrong.value).splitlines()


def test_empty_file_is_all_defaults(write: Write) -> None:
    """An empty file means what no line of it would mean."""
    path = write("")
    assert load(path) == Config(path=str(path), files=(str(path),))


def test_without_fusions_all_members_are_the_panel(write: Write) -> None:
    """All members, in the order of the file, are the panel of the default fusion."""
    assert load(write(MINIMAL)).fusions == {"default": FusionConfig(strategy="adaptive", panel=(Seat(member="qwen"), Seat(member="gemma")))}


def test_every_kind_of_value(write: Write) -> None:
    """Arrays become tuples, whole numbers fractions where those are meant, prices exact decimals, bare names seats."""
    config = load(
        write(
            """
            [server]
            drain_seconds = 5
            tokens = [{ env = "TOKEN" }, { file = "/key" }]
            [providers.ollama]
            api = "ollama"
            discover = false
            [providers.openrouter]
            api = "openrouter"
            api_key = { credential = "openrouter" }
            only = ["anthropic"]
            [members.m]
            provider = "ollama"
            model = "m"
            size = 8
            price = { input = 0.15, output = 1 }
            options = { temperature = 0.7, nested = { stop = ["a", 1] } }
            [fusions.default]
            panel = ["m"]
            [fusions.three]
            panel = [{ member = "m", samples = 3, temperature = 1 }]
            [fusions.thrifty]
            strategy = "cascade"
            panel = ["m"]
            escalate = ["mini"]
            thrift = 1
            accept = 1
            privacy = "any"
            max_cost_usd = 0.02
            [members.mini]
            provider = "openrouter"
            model = "openai/gpt-mini"
            [[routes]]
            when = { task = "code", max_prompt_tokens = 4000, tools = false }
            use = "fusion/three"
            [[routes]]
            use = "m"
            [aliases]
            "gpt-4o" = "fusion"
            [budget]
            per_request_usd = 0.05
            per_day_usd = 2
            when_exhausted = "reject"
            [privacy]
            never_remote = ["canary-[0-9]+"]
            [offline]
            mode = "never"
            [records]
            text = true
            keep_days = 0
            """
        )
    )
    assert config.server.drain_seconds == 5
    assert config.server.tokens == (Secret(env="TOKEN"), Secret(file="/key"))
    assert config.providers["ollama"] == OllamaConfig(api="ollama", discover=False)
    assert config.providers["openrouter"] == OpenRouterConfig(api="openrouter", api_key=Secret(credential="openrouter"), only=("anthropic",))
    member = config.members["m"]
    assert (member.size, member.price) == (8.0, Price(input=Decimal("0.15"), output=Decimal(1)))
    assert member.options == {"temperature": 0.7, "nested": {"stop": ["a", 1]}}
    assert config.fusions["default"].panel == (Seat(member="m"),)
    assert config.fusions["three"].panel == (Seat(member="m", samples=3, temperature=1.0),)
    assert config.aliases == {"gpt-4o": "fusion"}
    thrifty = config.fusions["thrifty"]
    assert (thrifty.escalate, thrifty.thrift, thrifty.accept, thrifty.privacy, thrifty.max_cost_usd) == (("mini",), 1.0, 1.0, "any", Decimal("0.02"))
    assert config.routes == (
        RouteConfig(use="fusion/three", when=Conditions(task="code", max_prompt_tokens=4000, tools=False)),
        RouteConfig(use="m"),
    )
    assert config.budget == BudgetConfig(per_request_usd=Decimal("0.05"), per_day_usd=Decimal(2), when_exhausted="reject")
    assert config.privacy == PrivacyConfig(default="any", never_remote=("canary-[0-9]+",))
    assert (config.offline, config.records) == (OfflineConfig(mode="never"), RecordsConfig(text=True, keep_days=0))


def test_absent_and_empty_budget(write: Write) -> None:
    """An empty table is a budget without caps; without it nothing may be paid. The other tables are there in any case."""
    absent, empty = load(write("")), load(write("[budget]\n[privacy]\n[offline]\n[records]\n"))
    assert (absent.budget, empty.budget) == (None, BudgetConfig())
    assert (absent.privacy, absent.offline, absent.records) == (empty.privacy, empty.offline, empty.records)
    assert empty.privacy.never_remote == ("-----BEGIN [A-Z ]*PRIVATE KEY-----",)


def test_same_meaning_is_equal(write: Write) -> None:
    """Comments, order and spelled-out defaults make no other configuration."""
    first = load(write(MINIMAL))
    assert load(write("# again\n" + MINIMAL.replace("qwen3:8b", "qwen3:\\u0038b") + "[server]\nqueue = 256\n")) == first


def test_misspelt_key(write: Write) -> None:
    """An unknown key is named with its path, the nearest key, and its line."""
    text = MINIMAL.replace('model = "qwen3:8b"', 'modle = "qwen3:8b"')
    assert errors(write(text)) == [
        "config.toml: members.qwen.model: is missing [line 5]",
        "config.toml: members.qwen.modle: unknown key (did you mean 'model'?) [line 7]",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("servr = 1", "servr: unknown key (did you mean 'server'?) [line 1]"),
        ("zzz = 1", "zzz: unknown key [line 1]"),
        ("[server]\nqueue = '8'", "server.queue: must be a whole number, not a string [line 2]"),
        ("[server]\nqueue = true", "server.queue: must be a whole number, not true [line 2]"),
        ("[server]\nqueue = 2.0", "server.queue: must be a whole number, not 2.0 [line 2]"),
        ("[server]\ndrain_seconds = true", "server.drain_seconds: must be a number, not true [line 2]"),
        ("[server]\ndrain_seconds = '8'", "server.drain_seconds: must be a number, not a string [line 2]"),
        ("[server]\ndrain_seconds = nan", "server.drain_seconds: must be a finite number [line 2]"),
        ("[server]\nlisten = 'unix'", "server.listen: must be an array, not a string [line 2]"),
        ("[server]\nlisten = ['unix', 5]", "server.listen[1]: must be a string, not a whole number [line 2]"),
        (
            "[server]\ndrain_seconds = 2020-01-01",
            "server.drain_seconds: is a date or a time; if a string is meant, put it in quotation marks [line 2]",
        ),
        (
            f"[providers.p]\napi='ollama'\n[members.x]\nprovider='p'\nmodel='m'\noptions = {{ seed = 0x{'f' * 4000} }}",
            "members.x.options.seed: is a whole number of more than 64 bits [line 6]",
        ),
        (f"[server]\nqueue = {2**63}", "server.queue: is a whole number of more than 64 bits [line 2]"),
        ("server = 1", "server: must be a table, not a whole number [line 1]"),
        ("members = []", "members: must be a table, not an array [line 1]"),
        ("members.x = 'y'", "members.x: must be a table, not a string [line 1]"),
        ("aliases.x = 1", "aliases.x: must be a string, not a whole number [line 1]"),
        ("providers.x = 1", "providers.x: must be a table, not a whole number [line 1]"),
        ("[providers.x]", "providers.x.api: is missing: it must be 'ollama', 'openrouter', 'openai' or 'llamacpp' [line 1]"),
        ("[providers.x]\napi='olama'", "providers.x.api: must be 'ollama', 'openrouter', 'openai' or 'llamacpp' (did you mean 'ollama'?) [line 2]"),
        ("[providers.x]\napi='ollama'\napi_key={env='K'}", "providers.x.api_key: unknown key (did you mean 'api'?) [line 3]"),
        ("[providers.x]\napi='openai'", "providers.x.url: is missing [line 1]"),
        ("[providers.x]\napi='ollama'\nplace='wan'", "providers.x.place: must be 'local', 'lan' or 'remote' (did you mean 'lan'?) [line 3]"),
        ("[providers.x]\napi='ollama'\ndiscover=1", "providers.x.discover: must be true or false, not a whole number [line 3]"),
        ("[providers.x]\napi='openrouter'\napi_key={evn='K'}", "providers.x.api_key.evn: unknown key (did you mean 'env'?) [line 3]"),
        ("[budget]\nper_dya_usd = 2", "budget.per_dya_usd: unknown key (did you mean 'per_day_usd'?) [line 2]"),
        ("[budget]\nper_day_usd = '2'", "budget.per_day_usd: must be a number, not a string [line 2]"),
        ("[budget]\nper_day_usd = nan", "budget.per_day_usd: must be a finite number [line 2]"),
        ("[budget]\nper_day_usd = true", "budget.per_day_usd: must be a number, not true [line 2]"),
        ("[budget]\nper_day_usd = inf", "budget.per_day_usd: must be a finite number [line 2]"),
        ("[budget]\nwhen_exhausted = 'rejct'", "budget.when_exhausted: must be 'local' or 'reject' (did you mean 'reject'?) [line 2]"),
        ("budget = 2", "budget: must be a table, not a whole number [line 1]"),
        ("[budgte]", "budgte: unknown key (did you mean 'budget'?) [line 1]"),
        ("[privacy]\ndefault = 'locl'", "privacy.default: must be 'any', 'lan' or 'local' (did you mean 'local'?) [line 2]"),
        ("[privacy]\nnever_remotes = []", "privacy.never_remotes: unknown key (did you mean 'never_remote'?) [line 2]"),
        ("[privacy]\nnever_remote = 'x'", "privacy.never_remote: must be an array, not a string [line 2]"),
        ("[privacy]\nnever_remote = [1]", "privacy.never_remote[0]: must be a string, not a whole number [line 2]"),
        ("[offline]\nmode = 'of'", "offline.mode: must be 'auto', 'always' or 'never' [line 2]"),
        ("[offline]\nmod = 'auto'", "offline.mod: unknown key (did you mean 'mode'?) [line 2]"),
        ("[records]\ntext = 1", "records.text: must be true or false, not a whole number [line 2]"),
        ("[records]\nkeep_days = 1.5", "records.keep_days: must be a whole number, not 1.5 [line 2]"),
        ("[records]\nkeep_day = 1", "records.keep_day: unknown key (did you mean 'keep_days'?) [line 2]"),
        ("routes = 'x'", "routes: must be an array of tables ([[routes]]), not a string [line 1]"),
        ("[routes]\nuse = 'x'", "routes: must be an array of tables ([[routes]]), not a table [line 1]"),
        ("routes = ['x']", "routes[0]: must be a table, not a string [line 1]"),
        ("[[routes]]\nwhen = { tools = true }", "routes[0].use: is missing [line 1]"),
        ("[[local]]", "local: not supported yet [line 1]"),
        ("[local]\nwarm = []", "local: not supported yet [line 1]"),
        ("[code]\nrun = 1", "code.run: must be true or false, not a whole number [line 2]"),
        ("[code]\nruns = true", "code.runs: unknown key (did you mean 'run'?) [line 2]"),
        ("[idle]\nexit_seconds = 0", "idle: not supported yet [line 1]"),
        ("[server]\nallow_adhoc = false", "server.allow_adhoc: not supported yet [line 2]"),
    ],
)
def test_what_is_said(write: Write, text: str, expected: str) -> None:
    """Each mistake, in the file's words and with its place; no library's name, no conversion."""
    assert errors(write(text)) == [f"config.toml: {expected}"]


@pytest.mark.parametrize("key", ["calibrate"])
def test_fusion_keys_to_come(write: Write, key: str) -> None:
    """A key that will exist is an error of its own, never read and ignored."""
    text = f"{MINIMAL}[fusions.default]\npanel = ['qwen']\n{key} = 1\n"
    assert errors(write(text)) == [f"config.toml: fusions.default.{key}: not supported yet [line 14]"]


STRATEGIES = "'single', 'race', 'vote', 'select', 'synthesize', 'refine', 'cascade' or 'adaptive'"


def test_everything_at_once(write: Write) -> None:
    """What is wrong with a table does not hide what else is wrong with it, or with others; what only follows from it is not said."""
    text = """
[server]
listen = ["unix", 5, "nowhere"]
queue = "8"
[providers.ollama]
api = "ollama"
parallel = 0
kep_alive = "5m"
[members.qwen]
provider = "olama"
skill = 1
price = { input = -1, ouput = 2 }
[fusions.default]
strategy = "voet"
panel = ["qwn", "qwen", 5, { member = "qwen", sampels = 3 }, {}]
quorum = 0
escalate = ["gemma"]
[[routes]]
use = "fusion"
when = { task = "cod", tols = true }
[records]
keep_days = 2020-01-01
"""
    assert [error.split(": ", 1)[1] for error in errors(write(text))] == [
        "server.listen[1]: must be a string, not a whole number [line 3]",
        "server.listen[2]: must be HOST:PORT, unix:PATH or unix [line 3]",
        "server.queue: must be a whole number, not a string [line 4]",
        "providers.ollama.parallel: must be at least 1 [line 7]",
        "providers.ollama.kep_alive: unknown key (did you mean 'keep_alive'?) [line 8]",
        "members.qwen.model: is missing [line 9]",
        "members.qwen.provider: there is no provider 'olama' (did you mean 'ollama'?) [line 10]",
        "members.qwen.skill: must be between 0 and 1, and neither of them [line 11]",
        "members.qwen.price.output: is missing [line 12]",
        "members.qwen.price.ouput: unknown key (did you mean 'output'?) [line 12]",
        "members.qwen.price.input: must be at least 0 [line 12]",
        f"fusions.default.strategy: must be {STRATEGIES} (did you mean 'vote'?) [line 14]",
        "fusions.default.panel[2]: must be a table, not a whole number [line 15]",
        "fusions.default.panel[3].sampels: unknown key (did you mean 'samples'?) [line 15]",
        "fusions.default.panel[4].member: is missing [line 15]",
        "fusions.default.panel[0]: there is no member 'qwn' (did you mean 'qwen'?) [line 15]",
        "fusions.default.quorum: must be at least 1 [line 16]",
        "fusions.default.escalate[0]: there is no member 'gemma' [line 17]",
        "routes[0].when.task: must be 'code', 'choice', 'number', 'boolean', 'label', 'text', 'json' or 'prose' (did you mean 'code'?) [line 20]",
        "routes[0].when.tols: unknown key (did you mean 'tools'?) [line 20]",
        "records.keep_days: is a date or a time; if a string is meant, put it in quotation marks [line 22]",
    ]


def test_no_secret_is_repeated(write: Write) -> None:
    """A key that is written where its place should stand, or into a URL, reaches no error."""
    text = """
[server]
tokens = ["sk-canary"]
[providers.a]
api = "openrouter"
api_key = "sk-canary"
[providers.b]
api = "openai"
url = "http://user:sk-canary@host:sk-canary"
[providers.c]
api = "openai"
url = "http://sk-canary@host"
api_key = { env = ["sk-canary"] }
"""
    said = errors(write(text))
    assert len(said) == 5
    assert "canary" not in "".join(said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb = 1", "is not valid TOML: Expected '=' after a key in a key/value pair [line 1, column 2]"),
        ("[a]\nb = 'x", 'is not valid TOML: Expected "\'" [line 2]'),
        ("a = " + "[" * 10_000, "is nested too deeply"),
        ("x = 1\n" + "a." * 10_000 + "b = 1", "is nested too deeply [line 2]"),
        ("a = " + "9" * 5000, "holds a number with too many digits"),
        ("x = '" + "y" * SIZE_LIMIT + "'", "is larger than 4 MiB: not a configuration"),
    ],
)
def test_no_toml(write: Write, text: str, expected: str) -> None:
    """A text that is no TOML, or too much of it, is named with the place where reading stopped."""
    (said,) = errors(write(text))
    assert said.startswith(f"config.toml: {expected.removesuffix(']')}")


def test_nested_without_end(write: Write) -> None:
    """A value nested more deeply than anything means is refused where it begins."""
    text = MINIMAL + "[members.x]\nprovider = 'ollama'\nmodel = 'x'\noptions = " + "{ a = " * 40 + "1" + " }" * 40
    assert errors(write(text)) == ["config.toml: members.x: is nested too deeply [line 12]"]


def test_not_utf8(tmp_path: Path) -> None:
    """Bytes that are no text are named with their line."""
    path = tmp_path / "config.toml"
    path.write_bytes(b'[server]\nqueue = "\xff"\n')
    assert errors(path) == ["config.toml: is not UTF-8 text [line 2]"]


def test_as_other_systems_write_it(tmp_path: Path) -> None:
    """A byte order mark and carriage returns are no part of the text."""
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[server]\r\nqueue = 3\r\n")
    assert load(path).server.queue == 3


def test_absent_and_directory(tmp_path: Path) -> None:
    """A file that is not there, and one that is none."""
    assert errors(tmp_path / "config.toml") == [f"config.toml: there is no such file: {tmp_path / 'config.toml'}"]
    assert errors(tmp_path) == [f"{tmp_path.name}: cannot be read: Is a directory"]


TOML_VALUES = st.recursive(
    st.sampled_from(['""', '"qwen"', '"ollama/*"', '"unix"', "true", "0", "-1", "9" * 30, "0.5", "inf", "nan", "1979-05-27", "07:32:00", "[]", "{}"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda values: f"[{', '.join(values)}]")
        | st.dictionaries(st.sampled_from(["member", "env", "a", '"b c"']), inner, max_size=2).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        )
    ),
    max_leaves=5,
)
TOML_KEYS = """
    include server server.listen server.tokens server.queue providers providers.x providers.ollama.api providers.ollama.url
    members members.qwen members.qwen.price members.qwen.options members.qwen.provider members.qwen.skill members."" aliases aliases.a
    fusions fusions.default fusions.default.panel fusions.default.judge fusions.default.strategy fusions.default.escalate fusions.default.privacy
    fusions.default.max_cost_usd fusions.default.accept routes budget budget.per_day_usd budget.per_request_usd privacy privacy.default
    privacy.never_remote offline.mode records.keep_days zzz
"""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(st.tuples(st.sampled_from(TOML_KEYS.split()), TOML_VALUES), max_size=5, unique_by=lambda line: line[0]))
def test_anything(write: Write, lines: list[tuple[str, str]]) -> None:
    """Whatever the file says, it is a configuration or errors, each with a reason of its own; nothing else ever comes out."""
    path = write("\n".join(f"{key} = {value}" for key, value in lines) + "\n")
    said: tuple[ConfigError, ...] | None = None
    try:
        config = load(path)
    except ConfigErrors as wrong:
        said = wrong.errors
    if said is None:
        assert config.path == str(path)
    else:
        assert said
        assert all(error.reason for error in said)
        assert len(set(said)) == len(said)
