"""A configuration and what its providers told, and the catalog that comes of the two."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fusiond.catalog import Catalog, Discovered, ModelFacts, ProviderFacts, look_up, served
from fusiond.config.tree import (
    Config,
    FusionConfig,
    LlamaCppConfig,
    MemberConfig,
    OllamaConfig,
    OpenAIConfig,
    OpenRouterConfig,
    Place,
    Price,
    ProviderConfig,
    RouteConfig,
    Seat,
)
from fusiond.daemon import unconfigured
from fusiond.errors import UnknownModel
from fusiond.resolve import CONTEXT_LIMIT, CONTEXT_UNKNOWN, place_of, resolve
from fusiond.tariff import Tariff

GIB = 1 << 30
PROVIDERS: dict[str, ProviderConfig] = {
    "ollama": OllamaConfig(api="ollama"),
    "router": OpenRouterConfig(api="openrouter"),
    "lab": OpenAIConfig(api="openai", url="http://192.168.1.5:8000/v1"),
    "builtin": LlamaCppConfig(api="llamacpp"),
}


def facts(*models: ModelFacts, error: str | None = None, closed: str | None = None) -> ProviderFacts:
    """What one provider told."""
    return ProviderFacts(models={model.model: model for model in models}, error=error, closed=closed)


def model(name: str, **fields: Any) -> ModelFacts:
    """A local model."""
    return ModelFacts(**{"model": name, "place": "local", **fields})


def config(fusions: dict[str, FusionConfig] | None = None, **members: MemberConfig) -> Config:
    """One provider of each kind, and these members."""
    return Config(providers=PROVIDERS, members=members, fusions=fusions or {})


def entry(provider: str, name: str, **fields: Any) -> MemberConfig:
    """A member's table."""
    return MemberConfig(provider=provider, model=name, **fields)


def panel(catalog: Catalog, name: str = "default") -> list[str]:
    """The names of a fusion's panel."""
    return [seat.member for seat in catalog.fusions[name].panel]


def started(discovered: Discovered, memory: int = 100 * GIB, **environment: str) -> Catalog:
    """What a daemon without a configuration serves."""
    return resolve(unconfigured(environment), discovered, memory)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://localhost:11434", "local"),
        ("http://LOCALHOST", "local"),
        ("http://box.localhost", "remote"),
        ("http://127.0.0.1:8000/v1", "local"),
        ("http://127.8.8.8", "local"),
        ("http://[::1]:8000", "local"),
        ("http://0.0.0.0:8000", "local"),
        ("http://[::]:8000", "local"),
        ("http://10.1.2.3", "lan"),
        ("http://172.16.0.1", "lan"),
        ("http://192.168.1.5:8000", "lan"),
        ("http://169.254.1.1", "lan"),
        ("http://[fd00::5]", "lan"),
        ("http://[fe80::1]", "lan"),
        ("http://8.8.8.8", "remote"),
        ("http://172.32.0.1", "remote"),
        ("http://[2001:4860:4860::8888]", "remote"),
        ("http://[::ffff:8.8.8.8]", "remote"),
        ("https://api.example", "remote"),
        ("http://localhost.example", "remote"),
        ("http://127.0.0.1.example", "remote"),
    ],
)
@pytest.mark.parametrize("api", ["openai", "ollama"])
def test_the_address_tells_the_place(url: str, place: Place, api: str) -> None:
    """Loopback is local, private addresses are lan, and whatever needs a name server is remote."""
    assert place_of(OllamaConfig(api="ollama", url=url) if api == "ollama" else OpenAIConfig(api="openai", url=url)) == place


def test_a_providers_table_has_the_last_word_but_for_openrouter() -> None:
    """A local forwarder may be remote, and a name may be of this network; OpenRouter is remote wherever its address is."""
    assert place_of(OpenAIConfig(api="openai", url="http://127.0.0.1:8000", place="remote")) == "remote"
    assert place_of(OllamaConfig(api="ollama", url="http://box.example", place="lan")) == "lan"
    assert place_of(OpenRouterConfig(api="openrouter", url="http://127.0.0.1:9000")) == "remote"
    assert place_of(LlamaCppConfig(api="llamacpp")) == "local"


def test_what_is_configured_stands_over_what_is_told_and_that_over_guesses() -> None:
    """Family, size and whether it reasons, each for itself."""
    told = {"ollama": facts(model("qwen3:8b", family="qwen3", size=8.2, reasoning=False, tools=True, vision=False, context=4096))}
    members = resolve(
        config(
            own=entry("ollama", "qwen3:8b", family="mine", size=9, reasoning=True, context=512),
            told=entry("ollama", "qwen3:8b"),
            guessed=entry("lab", "qwen3:4b"),
            nothing=entry("lab", "mystery"),
        ),
        told,
        GIB,
    ).members
    assert [(m.family, m.size, m.reasoning, m.context) for name in ("own", "told", "guessed", "nothing") for m in [members[name]]] == [
        ("mine", 9, True, 512),
        ("qwen3", 8.2, False, 4096),
        ("qwen", 4.0, True, None),
        ("mystery", 8.0, False, None),
    ]
    assert (members["told"].tools, members["told"].vision) == (True, False)
    assert (members["guessed"].tools, members["guessed"].vision, members["guessed"].place) == (True, True, "lan")


def test_a_members_own_fields_are_passed_on() -> None:
    """Options, skill, price and patience; a price in the file stands over the provider's list."""
    own, listed = Price(input=Decimal(1), output=Decimal(2)), Tariff.per_million(Decimal(3), Decimal(4))
    told = {"router": facts(model("x/y", place="remote", tariff=listed, context=1000, longest=500))}
    fields: dict[str, Any] = {"options": {"seed": 1}, "skill": 0.7, "first_token_seconds": 1, "stall_seconds": 2, "total_seconds": 3}
    members = resolve(config(mine=entry("router", "x/y", price=own, **fields), theirs=entry("router", "x/y")), told, GIB).members
    mine = members["mine"]
    assert {name: getattr(mine, name) for name in fields} == fields
    assert (mine.tariff, members["theirs"].tariff) == (Tariff.per_million(own.input, own.output), listed)
    assert (mine.longest, mine.paid) == (500, True)
    assert (mine.api, mine.provider, mine.model, mine.context, mine.discovered) == ("openrouter", "router", "x/y", 1000, False)


@pytest.mark.parametrize(
    ("provider", "told", "wished", "context"),
    [
        ("ollama", None, None, CONTEXT_UNKNOWN),
        ("ollama", 4096, None, 4096),
        ("ollama", 131072, None, CONTEXT_LIMIT),
        ("ollama", 131072, 65536, 65536),
        ("builtin", 131072, None, CONTEXT_LIMIT),
        ("builtin", None, None, CONTEXT_UNKNOWN),
        ("lab", None, None, None),
        ("lab", 131072, None, 131072),
        ("lab", 131072, 4096, 4096),
        ("router", 200000, None, 200000),
    ],
)
def test_a_window_that_we_open_is_bounded(provider: str, told: int | None, wished: int | None, context: int | None) -> None:
    """Ollama and the engine get one from us: what the model supports, bounded; other servers have their own, which may be unknown."""
    said = {provider: facts(model("m", context=told))}
    assert resolve(config(a=entry(provider, "m", context=wished)), said, GIB).members["a"].context == context


def test_models_that_are_found_are_members() -> None:
    """By PROVIDER/MODEL, if they can chat and their provider discovers."""
    told = {
        "ollama": facts(model("qwen3:8b"), model("bge-m3", chat=False)),
        "lab": facts(model("big")),
        "builtin": facts(model("smollm2")),
        "router": facts(model("x/y", place="remote")),
    }
    catalog = resolve(config({"default": FusionConfig(panel=(Seat(member="ollama/*"),))}), told, GIB)
    assert list(catalog.members) == ["ollama/qwen3:8b", "builtin/smollm2"]
    assert all(member.discovered for member in catalog.members.values())
    assert look_up("ollama/qwen3:8b", catalog) is catalog.members["ollama/qwen3:8b"]


def test_latest_is_the_tag_that_is_not_said() -> None:
    """What Ollama tells of `llama3.2` is known of `llama3.2:latest` too."""
    told = {"ollama": facts(model("llama3.2", size=3.2))}
    assert resolve(config(a=entry("ollama", "llama3.2:latest")), told, GIB).members["a"].size == 3.2


def test_ollamas_cloud_models_are_remote_before_they_are_seen() -> None:
    """Their names say it, so that a question for this machine never leaves it while Ollama has not been looked at."""
    members = resolve(config(cloud=entry("ollama", "gpt-oss:120b-cloud"), here=entry("ollama", "gpt-oss:20b")), {}, GIB).members
    assert (members["cloud"].place, members["cloud"].paid, members["here"].place) == ("remote", True, "local")


def test_a_star_stands_for_all_that_was_found() -> None:
    """In order of names, each with the seat's samples and temperature; none as long as nothing was found; no configured member."""
    fusions = {"all": FusionConfig(panel=(Seat(member="ollama/*", samples=2, temperature=0.5),))}
    wished = config(fusions, mine=entry("ollama", "c"))
    told = {"ollama": facts(model("b"), model("a"), model("embed", chat=False))}
    assert resolve(wished, told, GIB).fusions["all"].panel == (
        Seat(member="ollama/a", samples=2, temperature=0.5),
        Seat(member="ollama/b", samples=2, temperature=0.5),
    )
    assert panel(resolve(wished, {}, GIB), "all") == []


def test_a_member_beside_its_star_has_one_seat() -> None:
    """The one that was written for it, with its own samples, wherever the star stands."""
    own = Seat(member="ollama/a", samples=3)
    fusions = {
        "before": FusionConfig(panel=(own, Seat(member="ollama/*"))),
        "after": FusionConfig(panel=(Seat(member="ollama/*"), own)),
    }
    filled = resolve(config(fusions), {"ollama": facts(model("a"), model("b"))}, GIB).fusions
    assert filled["before"].panel == (own, Seat(member="ollama/b"))
    assert filled["after"].panel == (Seat(member="ollama/b"), own)


def test_who_may_be_asked_besides_is_none_of_the_star() -> None:
    """It would be asked twice, with one voice."""
    fusions = {"f": FusionConfig(strategy="cascade", panel=(Seat(member="ollama/*"),), escalate=("ollama/b:cloud",))}
    told = {"ollama": facts(model("a"), model("b:cloud", place="remote"))}
    filled = resolve(config(fusions), told, GIB).fusions["f"]
    assert (filled.panel, filled.escalate) == ((Seat(member="ollama/a"),), ("ollama/b:cloud",))


def test_a_model_that_a_fusion_names_is_a_member_before_it_is_found() -> None:
    """In a panel, in an escalation, as a judge and as a writer: the fusion can be asked at once, and who is asked says whether it is there."""
    fusions = {"f": FusionConfig(panel=(Seat(member="ollama/a:1b"),), escalate=("ollama/d:4b",), judge="ollama/b:2b", writer="builtin/c")}
    members = resolve(config(fusions), {}, GIB).members
    assert [(m.name, m.size, m.discovered) for m in members.values()] == [
        ("ollama/a:1b", 1.0, False),
        ("ollama/d:4b", 4.0, False),
        ("ollama/b:2b", 2.0, False),
        ("builtin/c", 8.0, False),
    ]


def test_the_judge_writes_where_no_writer_is_named() -> None:
    """And a writer is no judge."""
    seat = (Seat(member="a"),)
    fusions = {"j": FusionConfig(panel=seat, judge="a"), "w": FusionConfig(panel=seat, writer="a")}
    filled = resolve(config(fusions, a=entry("lab", "a")), {}, GIB).fusions
    assert [(fusion.judge, fusion.writer) for fusion in filled.values()] == [("a", "a"), (None, "a")]


def test_what_cannot_be_asked_says_why() -> None:
    """A model's own reason, and that of a provider without a key or an engine; a server that is away may be back for the next question."""
    told = {
        "ollama": facts(model("old", unavailable="is too old"), error="no connection"),
        "router": facts(model("x/old", unavailable="is too old"), closed="there is no key"),
        "builtin": facts(error="is not installed", closed="is not installed"),
        "lab": facts(error="no connection"),
    }
    members = resolve(
        config(
            a=entry("ollama", "old"),
            b=entry("ollama", "other"),
            c=entry("router", "x/y"),
            f=entry("router", "x/old"),
            d=entry("builtin", "z"),
            e=entry("lab", "z"),
        ),
        told,
        GIB,
    ).members
    assert [members[name].unavailable for name in "abcdef"] == [
        "is too old",
        None,
        "there is no key",
        "is not installed",
        None,
        "is too old",
    ]


def test_without_a_configuration_the_loaded_models_answer() -> None:
    """Whatever else there is: they cost no loading."""
    told = {
        "ollama": facts(model("a", loaded=True, bytes=GIB), model("b", bytes=9 * GIB), model("c", loaded=True, bytes=GIB)),
        "builtin": facts(model("smollm2", loaded=True)),
    }
    assert panel(started(told)) == ["ollama/a", "ollama/c"]


@pytest.mark.parametrize(
    ("memory", "chosen"),
    [
        (100, ["ollama/e", "ollama/d", "ollama/c"]),
        (15, ["ollama/d", "ollama/c", "ollama/b"]),
        (4, ["ollama/b", "ollama/a"]),
        (1, ["builtin/smollm2"]),
    ],
)
def test_else_the_three_largest_that_fit_together(memory: int, chosen: list[str]) -> None:
    """In four fifths of the memory; where nothing fits, the built-in engine's."""
    sizes = {"a": 1, "b": 2, "c": 4, "d": 5, "e": 30}
    told = {
        "ollama": facts(model("embed", chat=False, bytes=1), *(model(name, bytes=size * GIB) for name, size in sizes.items())),
        "builtin": facts(model("smollm2")),
    }
    assert panel(started(told, memory * GIB)) == chosen


def test_else_the_built_in_engine_answers() -> None:
    """Where Ollama has nothing that runs here: its cloud models are none of it."""
    told = {"ollama": facts(model("x:cloud", place="remote", loaded=True)), "builtin": facts(model("smollm2"))}
    assert panel(started(told)) == ["builtin/smollm2"]
    assert panel(started({})) == []


def test_paid_members_are_named_although_they_wait() -> None:
    """With a key in the environment, behind the local ones; without one there are none."""
    told = {"ollama": facts(model("a", loaded=True))}
    assert panel(started(told, OPENROUTER_API_KEY="k")) == ["ollama/a", "openrouter/auto"]
    assert panel(started(told)) == ["ollama/a"]


def test_everything_that_is_served_can_be_looked_up() -> None:
    """The names that are listed, fusions first; each stands for something, and none twice."""
    fusions = {"default": FusionConfig(panel=(Seat(member="a"),)), "code": FusionConfig(panel=(Seat(member="a"),))}
    wished = Config(providers=PROVIDERS, members={"a": entry("lab", "a")}, fusions=fusions, aliases={"gpt-4o": "fusion"})
    catalog = resolve(wished, {"ollama": facts(model("b"))}, GIB)
    names = served(catalog)
    assert names == ["fusion", "fusion/default", "fusion/code", "auto", "openrouter/fusion", "a", "ollama/b", "gpt-4o"]
    assert all(look_up(name, catalog) for name in names)
    with pytest.raises(UnknownModel):
        look_up("code", catalog)


@pytest.mark.parametrize(
    ("fusion", "routes", "general"),
    [
        ("default", (), ["fusion", "fusion/default", "auto", "openrouter/fusion"]),
        ("code", (RouteConfig(use="a"),), ["fusion/code", "auto"]),
        ("code", (), ["fusion/code"]),
    ],
)
def test_auto_is_served_where_it_stands_for_something(fusion: str, routes: tuple[RouteConfig, ...], general: list[str]) -> None:
    """By its routes, or by the fusion `default`."""
    wished = Config(providers=PROVIDERS, members={"a": entry("lab", "a")}, fusions={fusion: FusionConfig(panel=(Seat(member="a"),))}, routes=routes)
    catalog = resolve(wished, {}, GIB)
    assert catalog.routes == routes
    assert served(catalog) == [*general, "a"]


def test_the_same_two_give_the_same_catalog() -> None:
    """A look at the providers that brings nothing new changes nothing."""
    told = {"ollama": facts(model("b"), model("a", loaded=True))}
    assert resolve(config(), told, GIB) == resolve(config(), told, GIB)
