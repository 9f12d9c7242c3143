"""What a request changes of the fusion that it names: in the daemon's own field `fusion` (LiteLLM's words too), or by OpenRouter's plugin."""

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
from fusiond.wire.openai_body import ChatBody, FusionOptions, Judge, Plugin

_OPTIONS = tuple(field.name for field in fields(FusionOptions))
_JUDGE = frozenset(field.name for field in fields(Judge))
_PLUGIN = frozenset(field.name for field in fields(Plugin))
_STRATEGIES: tuple[str, ...] = get_args(StrategyName)
PRIVACIES: tuple[Privacy, ...] = get_args(Privacy)
_LONGEST_WORD = 64  # of a client's own that an error repeats or compares


def overrides(chat: ChatBody, raw: Mapping[str, Any]) -> Overrides:
    """Raises BadRequest with the path of what is wrong."""
    for key in raw.get("fusion") or ():
        if key not in _OPTIONS:
            raise wrong(f"fusion.{key[:_LONGEST_WORD]}", f"is unknown{_nearest(key, _OPTIONS)}")
    recipe, options = _of_plugin(chat), chat.fusion or FusionOptions()
    own = _of_options(options)
    if recipe and own != Overrides():
        raise wrong("plugins", "and fusion both say how to answer: use one of them")
    return replace(recipe or own, trace=bool(options.trace), progress=bool(options.progress))


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


def _unused(path: str, given: Mapping[str, Any], used: Container[str]) -> Iterator[str]:
    return (f"{path}.{key}" for key, value in given.items() if value is not None and key not in used)


def _of_options(options: FusionOptions) -> Overrides:
    if options.panel is not None and options.models is not None:
        raise wrong("fusion.models", "and fusion.panel say the same twice: use one of them")
    for name, named in (("panel", options.panel), ("models", options.models)):
        if named == ():
            raise wrong(f"fusion.{name}", "must not be empty")
    return Overrides(
        strategy=_strategy(options.strategy),
        panel=options.panel or options.models,
        judge=options.judge.model if options.judge else None,
        writer=options.writer,
        said=(("panel", "fusion.models"),) if options.models else (),
    )


def _of_plugin(chat: ChatBody) -> Overrides | None:
    """What OpenRouter's plugin that fuses asks for, where it is asked for: its `model` compares the answers and writes.

    Raises BadRequest for any other plugin: it would do something that we do not.
    """
    asked = [(f"plugins[{index}]", plugin) for index, plugin in enumerate(chat.plugins or ()) if plugin.enabled is not False]
    for path, plugin in asked:
        if plugin.id != "fusion":
            raise NotSupported(f"{path}.id: only the plugin fusion is supported", param=f"{path}.id")
        if plugin.analysis_models == ():
            raise wrong(f"{path}.analysis_models", "must not be empty")
    if len(asked) > 1:
        raise wrong(f"{asked[1][0]}.id", "is there already: one plugin fuses")
    for path, plugin in asked:
        said = (("strategy", f"{path}.id"), ("panel", f"{path}.analysis_models"), ("judge", f"{path}.model"), ("writer", f"{path}.model"))
        return Overrides(strategy="synthesize", panel=plugin.analysis_models, judge=plugin.model, writer=plugin.model, said=said)
    return None


def _strategy(name: str | None) -> str | None:
    if name is None or name in _STRATEGIES:
        return name
    raise wrong("fusion.strategy", f"must be one of {', '.join(_STRATEGIES)}{_nearest(name, _STRATEGIES)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word[:_LONGEST_WORD], known, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""
