"""What a request changes of the fusion that it names: in the daemon's own field `fusion` (LiteLLM's words too), or by OpenRouter's plugin or tool."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, get_args

from fusiond.chat import Limit, Overrides
from fusiond.config.tree import Privacy, StrategyName
from fusiond.errors import NotSupported
from fusiond.wire.body import wrong
from fusiond.wire.openai_body import ChatBody, FusionOptions, Judge, OfferedTool, Plugin

_OPTIONS = tuple(field.name for field in fields(FusionOptions))
_JUDGE = frozenset(field.name for field in fields(Judge))
_PLUGIN = frozenset(field.name for field in fields(Plugin))
FUSION_TOOL = "openrouter:fusion"
"""The type of OpenRouter's own tool that fuses: here it always does, since no model is asked whether to."""

FUSION_MODEL = "openrouter/fusion"

_STRATEGIES: tuple[str, ...] = get_args(StrategyName)
PRIVACIES: tuple[Privacy, ...] = get_args(Privacy)
_LONGEST_WORD = 64  # of a client's own that an error repeats or compares


def overrides(chat: ChatBody, raw: Mapping[str, Any]) -> Overrides:
    """Raises BadRequest with the path of what is wrong."""
    for key in raw.get("fusion") or ():
        if key not in _OPTIONS:
            raise wrong(f"fusion.{key[:_LONGEST_WORD]}", f"is unknown{_nearest(key, _OPTIONS)}")
    recipe, options = _of_openrouter(chat), chat.fusion or FusionOptions()
    own = _of_options(options)
    if recipe and own != Overrides():
        where = recipe.where("strategy").partition("[")[0]
        raise wrong(where, "and fusion both say how to answer: use one of them")
    wish = recipe or own
    return replace(wish, trace=bool(options.trace), progress=bool(options.progress), analysis=wish.analysis or chat.model == FUSION_MODEL)


def limits(chat: ChatBody) -> tuple[Limit, ...]:
    """The limits that the body sets. Raises BadRequest."""
    options = chat.fusion or FusionOptions()
    found = []
    if options.privacy is not None:
        found.append(Limit(name="fusion.privacy", privacy=privacy("fusion.privacy", options.privacy)))
    if options.max_cost_usd is not None:
        found.append(Limit(name="fusion.max_cost_usd", max_cost_usd=Decimal(str(options.max_cost_usd))))
    return tuple(found)


def privacy(path: str, word: str) -> Privacy:
    """How far the request may go. Raises BadRequest."""
    if word not in PRIVACIES:
        raise wrong(path, f"must be one of {', '.join(PRIVACIES)}{_nearest(word, PRIVACIES)}")
    return word


def ignored(raw: Mapping[str, Any]) -> Iterator[str]:
    """What of a judge and of plugins is not used. *raw* has the shape of a body."""
    judge = (raw.get("fusion") or {}).get("judge")
    if isinstance(judge, dict):
        yield from _unused("fusion.judge", judge, _JUDGE)
    for index, plugin in enumerate(raw.get("plugins") or ()):
        if plugin.get("enabled") is not False:
            yield from _unused(f"plugins[{index}]", plugin, _PLUGIN)
    for index, tool in enumerate(raw.get("tools") or ()):
        if tool.get("type") == FUSION_TOOL:
            yield from _unused(f"tools[{index}].parameters", tool.get("parameters") or {}, _PLUGIN)


def _unused(path: str, given: Mapping[str, Any], used: Container[str]) -> Iterator[str]:
    return (f"{path}.{key}" for key, value in given.items() if value is not None and key not in used)


def _of_options(options: FusionOptions) -> Overrides:
    if options.panel is not None and options.models is not None:
        raise wrong("fusion.models", "and fusion.panel say the same twice: use one of them")
    for name, named in (("panel", options.panel), ("models", options.models)):
        if named == ():
            raise wrong(f"fusion.{name}", "must not be empty")
    return Overrides(
        strategy=_strategy(options.strategy) or ("synthesize" if options.models else None),  # LiteLLM's way always deliberates
        analysis=bool(options.models),
        panel=options.panel or options.models,
        judge=options.judge.model if options.judge else None,
        writer=options.writer,
        said=(("panel", "fusion.models"),) if options.models else (),
    )


def _of_openrouter(chat: ChatBody) -> Overrides | None:
    """What OpenRouter's plugin or tool that fuses asks for, where one is there: its `model` compares the answers and writes.

    Raises BadRequest for any other plugin: it would do something that we do not.
    """
    plugins = [(f"plugins[{index}]", "id", plugin) for index, plugin in enumerate(chat.plugins or ()) if plugin.enabled is not False]
    for path, _, plugin in plugins:
        if plugin.id != "fusion":
            raise NotSupported(f"{path}.id: only the plugin fusion is supported", param=f"{path}.id")
    tools = [
        (f"tools[{index}]", "type", _as_plugin(f"tools[{index}]", tool)) for index, tool in enumerate(chat.tools or ()) if tool.type == FUSION_TOOL
    ]
    asked = [*plugins, *tools]
    if len(asked) > 1:
        path, name, _ = asked[1]
        raise wrong(f"{path}.{name}", "is there already: one plugin or tool fuses")
    for path, name, plugin in asked:
        inside = f"{path}.parameters" if name == "type" else path
        if plugin.analysis_models == ():
            raise wrong(f"{inside}.analysis_models", "must not be empty")
        said = (("strategy", f"{path}.{name}"), ("panel", f"{inside}.analysis_models"), ("judge", f"{inside}.model"), ("writer", f"{inside}.model"))
        model = plugin.model
        return Overrides(strategy="synthesize", panel=plugin.analysis_models, judge=model, writer=model, analysis=True, said=said)
    return None


def _as_plugin(path: str, tool: OfferedTool) -> Plugin:
    """The tool's parameters are the plugin's. Raises BadRequest."""
    given = tool.parameters or {}
    models, model = given.get("analysis_models"), given.get("model")
    if models is not None and not (isinstance(models, list) and all(isinstance(name, str) and name for name in models)):
        raise wrong(f"{path}.parameters.analysis_models", "must be a list of models' names")
    if model is not None and not (isinstance(model, str) and model):
        raise wrong(f"{path}.parameters.model", "must be a model's name")
    return Plugin(id="fusion", analysis_models=None if models is None else tuple(models), model=model)


def _strategy(name: str | None) -> str | None:
    if name is None or name in _STRATEGIES:
        return name
    raise wrong("fusion.strategy", f"must be one of {', '.join(_STRATEGIES)}{_nearest(name, _STRATEGIES)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word[:_LONGEST_WORD], known, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""
