"""The composition root: what lives as long as the daemon, and how a configuration becomes a revision that serves.

Everything that runs in the background is a task of one group here; a signal ends the group, the requests in flight get their time, and the
daemon leaves with 0.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from aiohttp import web

from fusiond.access import fingerprints, gate_of, keys_of
from fusiond.admin import Admin
from fusiond.catalog import ProviderFacts
from fusiond.config import (
    Config,
    ConfigErrors,
    LlamaCppConfig,
    MemberConfig,
    OllamaConfig,
    OpenAIConfig,
    OpenRouterConfig,
    ProviderConfig,
    Reading,
    Secret,
    SecretError,
    candidates,
    locate,
)
from fusiond.config.address import Address, parse_address
from fusiond.keep import Keep
from fusiond.members import Provider
from fusiond.members.residency import Residency
from fusiond.places import cache_directory, ollama_url, state_directory
from fusiond.revision import Access, Revision, Revisions
from fusiond.server import Server
from fusiond.sockets import CannotListen, Listener, bind

if TYPE_CHECKING:
    from fusiond.members.engines import Engines

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 30.0
"""How often the providers are asked what models they have: a model that was pulled is there within a minute."""

LOOK_AFTER_SECONDS, WARM_AFTER_SECONDS = 0.02, 0.2
PAUSE_SECONDS, PRUNE_EVERY_SECONDS = 1.0, 3600.0

LAST_SECONDS = 2.0
"""So long the connections have to take what they were told, once the time for finishing requests is over."""


class Daemon:
    """One running daemon. `config`: the file that the command line names; `listen`: addresses in place of the configuration's."""

    def __init__(self, config: Path | None, listen: Sequence[str]) -> None:
        self._config_path = config
        self._listen = tuple(listen)
        self._poke = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._refused_files: Sequence[str] = ()
        self._reading = Reading()
        self._background: set[asyncio.Task[None]] = set()
        self._residency = Residency(self._spawn)
        self._keep = Keep(state_directory())
        self._engines: Engines | None = None
        self._listeners: dict[Address, tuple[Listener, web.SockSite]] = {}
        first = self._load()
        self._revisions = Revisions(self._built(1, first))
        self._server = Server(self._revisions, self._keep)
        self._admin = Admin(self._server, self.reload)
        self._runner = self._server.runner(self._admin.add_to, shutdown_timeout=LAST_SECONDS)

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT; a second one does not wait for the answers in flight. Raises CannotListen where an address cannot be had."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, lambda: self._server.cut() if stop.is_set() else stop.set())
        loop.add_signal_handler(signal.SIGHUP, self._poke.set)
        try:
            await self._runner.setup()
            await self._listen_on(self._revisions.current.config)
            for listener, _ in self._listeners.values():
                log.info("listening on %s", listener)
            gc.freeze()
            gc.enable()
            async with asyncio.TaskGroup() as group:
                duties = (self._opens, self._reloads, self._looks, self._finds, self._settles, self._keep.saves, self._prunes, _warmed)
                work = [group.create_task(_persistent(duty)) for duty in duties]
                await stop.wait()
                self._admin.draining = True
                for task in work:
                    task.cancel()
        finally:
            await self._close()

    async def reload(self) -> str | None:
        """Read the configuration again. Returns why it was refused; None: it serves, or says what served before."""
        async with self._reloading:
            try:
                config = self._load()
                if config.path is None and self._revisions.current.config.path is not None:
                    self._admin.fault = f"{self._revisions.current.config.path} is gone: what it said stays in force"
                    return self._admin.fault
                await self._take(config)
            except (ConfigErrors, CannotListen, SecretError, PermissionError) as error:
                self._refused_files = error.files if isinstance(error, ConfigErrors) else ()
                if str(error) != self._admin.fault:
                    log.error("the configuration was not taken: %s", error)  # noqa: TRY400  # its text says it all
                self._admin.fault = str(error)
            else:
                self._admin.fault, self._refused_files = None, ()
            return self._admin.fault

    async def _take(self, config: Config) -> None:
        current = self._revisions.current
        new = self._built(current.number + 1, config)
        if config == current.config and new.secrets == current.secrets:
            return
        await self._listen_on(config)
        new.learn({name: facts for name, facts in current.facts.items() if name in config.providers and new.server(name) == current.server(name)})
        self._keep.reloaded(new)
        self._server.admission.resize(config.server.max_requests, config.server.queue)
        await self._revisions.replace(new)
        self._spawn(self._look())
        log.info("revision %d serves", new.number)

    async def _reloads(self) -> None:
        await asyncio.sleep(LOOK_AFTER_SECONDS)
        from fusiond.reload import changes  # noqa: PLC0415  # once the daemon is there

        async with aclosing(changes(self._watched, self._poke)) as occasions:
            async for _ in occasions:
                await self.reload()

    def _watched(self) -> list[Path]:
        """The files of what serves, and of what was refused: the mistake may be in one that it names for the first time."""
        files = self._revisions.current.config.files
        if files or self._refused_files:
            return [Path(file) for file in dict.fromkeys((*files, *self._refused_files))]
        return [self._config_path] if self._config_path else list(candidates())

    async def _looks(self) -> None:
        """Ask the providers what they have, at once and for ever; whoever only wants to know that the daemon is there goes first."""
        await asyncio.sleep(LOOK_AFTER_SECONDS)
        while True:
            await self._look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _look(self) -> None:
        async with self._revisions.lease() as revision, asyncio.TaskGroup() as group:
            for name in revision.asked():
                group.create_task(self._look_at(revision, name))

    async def _look_at(self, revision: Revision, name: str) -> None:
        provider = revision.provider(name)
        if name not in revision.facts and (recalled := await provider.recall()):
            revision.learn({name: recalled}, recalled=True)
        said = await _seen(name, provider)
        if said.lost:
            revision.lose(name, (said.error or "cannot be reached").removeprefix("no price list: "), self._keep.reach)
        if revision.learn({name: said}):
            log.info("providers: %s: %s", name, said.error or f"{len(said.models)} models")
        for member in revision.listed(name, said):
            self._keep.health.listed(revision.identity(member))

    async def _opens(self) -> None:
        """Open what is kept on disk; where that cannot be done, try again for ever."""
        await asyncio.sleep(LOOK_AFTER_SECONDS)
        while True:
            await self._keep.open()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _finds(self) -> None:
        """Look for the providers that there was no way to."""
        await self._keep.opened.wait()
        reach, clock = self._keep.reach, asyncio.get_running_loop().time
        while True:
            await reach.wait(clock())
            if self._may_leave():
                lost = len(reach.lost)
                await reach.probe(clock())
                if len(reach.lost) < lost:  # who is back may have much to tell
                    self._spawn(self._look())
            else:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _settles(self) -> None:
        """Ask for the bills of calls that were cut off."""
        await self._keep.opened.wait()
        from fusiond.bills import Bills  # noqa: PLC0415  # once the daemon is there

        bills = Bills(self._keep.ledger)
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if self._may_leave():
                async with self._revisions.lease() as revision:
                    await bills.ask(revision, self._keep.reach.lost, asyncio.get_running_loop().time())

    async def _prunes(self) -> None:
        """Let go of old records."""
        await self._keep.opened.wait()
        while True:
            await self._keep.records.prune(self._revisions.current.config.records.keep_days)
            await asyncio.sleep(PRUNE_EVERY_SECONDS)

    def _may_leave(self) -> bool:
        """Whether anything may be sent beyond this network without being asked for."""
        config = self._revisions.current.config
        return config.privacy.default == "any" and config.offline.mode != "always"

    async def _listen_on(self, config: Config) -> None:
        """Bind what is new before letting go of what is old, so that a refused address changes nothing."""
        wanted = [parse_address(text) for text in self._listen or config.server.listen]
        bound: list[Listener] = []
        try:
            bound += (bind(address, self._listeners) for address in wanted if address not in self._listeners)
        except CannotListen:
            for listener in bound:
                listener.close()
            raise
        for listener in bound:
            site = web.SockSite(self._runner, listener.socket)
            await site.start()
            self._listeners[listener.address] = listener, site
        for address in self._listeners.keys() - set(wanted):
            listener, site = self._listeners.pop(address)
            await site.stop()
            listener.close()

    async def _close(self) -> None:
        """Finish what is in flight, within the time that the configuration gives; then end everything."""
        for _, site in self._listeners.values():
            await site.stop()
        await self._server.drain(self._revisions.current.config.server.drain_seconds)
        await self._runner.cleanup()
        for listener, _ in self._listeners.values():
            listener.close()
        for task in self._background:
            task.cancel()
        if self._engines is not None:
            await self._engines.aclose()
        await self._revisions.current.close()
        await self._keep.aclose()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work that outlives the request that began it."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (bug := task.exception()):
            log.error("work in the background ended in an error", exc_info=bug)

    def _load(self) -> Config:
        path = locate(self._config_path)
        return self._reading.load(path) if path else unconfigured(os.environ)

    def _built(self, number: int, config: Config) -> Revision:
        """Raises SecretError, now and not with the first question."""
        keys, gate = keys_of(config), gate_of(config, self._listen or config.server.listen)
        clients = {name: partial(self._provider, name, provider, config, keys.get(name)) for name, provider in config.providers.items()}
        return Revision(number, config, clients, Access(gate, fingerprints(keys, gate)), memory=memory())

    def _provider(self, name: str, provider: ProviderConfig, config: Config, key: str | None) -> Provider:
        """The client of one provider; only those that the configuration has are loaded."""
        match provider:
            case OllamaConfig():
                from fusiond.members.ollama import Ollama  # noqa: PLC0415

                return Ollama(provider, self._residency, self._keep.records)
            case OpenRouterConfig():
                from fusiond.members.openrouter import OpenRouter  # noqa: PLC0415
                from fusiond.members.openrouter_list import KeptList  # noqa: PLC0415

                kept = cache_directory() / f"openrouter-{sha256(provider.url.encode()).hexdigest()[:12]}.json"
                return OpenRouter(provider, key, KeptList(kept), self._keep.records)
            case OpenAIConfig():
                from fusiond.members.openai import OpenAI  # noqa: PLC0415

                return OpenAI(provider, key, self._residency, self._keep.records)
            case LlamaCppConfig():
                from fusiond.members.engines import Engines  # noqa: PLC0415
                from fusiond.members.llamacpp import LlamaCpp  # noqa: PLC0415

                self._engines = self._engines or Engines(self._spawn)
                models = (member.model for member in config.members.values() if member.provider == name)
                return LlamaCpp(provider, self._engines, self._residency, models)
        assert_never(provider)


async def _persistent(duty: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Something that is done for ever. What fails in it is a bug, and no reason to end: it begins anew, later each time."""
    pause = PAUSE_SECONDS
    while True:
        try:
            return await duty()
        except Exception:  # whatever happens in the background, the daemon goes on
            log.exception("work in the background failed, and begins again in %g s", pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LOOK_EVERY_SECONDS)


async def _warmed() -> None:
    """Load what the first question would have to wait for, once those who only wanted to know that the daemon is there have been told."""
    await asyncio.sleep(WARM_AFTER_SECONDS)
    await asyncio.to_thread(import_module, "fusiond.handler")


async def _seen(name: str, provider: Provider) -> ProviderFacts:
    try:
        return await provider.discover()
    except Exception as bug:  # whatever a provider serves, the daemon goes on
        log.exception("the look at the provider %s failed", name)
        return ProviderFacts(error=f"{type(bug).__name__}: {bug}")


def unconfigured(environment: Mapping[str, str]) -> Config:
    """What the daemon starts on without a file: Ollama, the built-in engine, and OpenRouter where there is a key for it."""
    providers: dict[str, ProviderConfig] = {
        "ollama": OllamaConfig(api="ollama", url=ollama_url(environment.get("OLLAMA_HOST", ""))),
        "builtin": LlamaCppConfig(api="llamacpp"),
    }
    members = {}
    if environment.get("OPENROUTER_API_KEY"):
        providers["openrouter"] = OpenRouterConfig(api="openrouter", api_key=Secret(env="OPENROUTER_API_KEY"))
        members["openrouter/auto"] = MemberConfig(provider="openrouter", model="openrouter/auto")
    return Config(providers=providers, members=members)


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
