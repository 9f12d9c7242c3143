"""`fusiond serve`: the daemon in the foreground. Light on purpose: it starts with every login, and stays in memory all day."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fusiond.cli import CONFIGURATION
from fusiond.config import ConfigErrors, SecretError
from fusiond.config.address import parse_address
from fusiond.daemon import Daemon
from fusiond.sockets import CannotListen

BAD_CONFIGURATION = 78
"""EX_CONFIG: a service manager need not try again."""

END_SECONDS = 1.0
"""So long what was cancelled may take to end, once the daemon has closed everything."""


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop. The loop is left open, for the process to end with: its end would wait for every name that is still looked up."""
    options = _parser().parse_args(arguments)
    _log(options.log_level)
    try:
        asyncio.Runner(loop_factory=_loop_factory()).run(_serve(options.config, options.listen or ()))
    except ConfigErrors as error:
        print(error, file=sys.stderr)  # noqa: T201
        return BAD_CONFIGURATION
    except SecretError as error:
        print(f"fusiond: {error}", file=sys.stderr)  # noqa: T201
        return BAD_CONFIGURATION
    except (CannotListen, PermissionError) as error:
        print(f"fusiond: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def _serve(config: Path | None, listen: Sequence[str]) -> None:
    try:
        await Daemon(config, listen).serve()
    finally:
        _ignore_signals()
        await _the_rest_has_ended()


async def _the_rest_has_ended() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=END_SECONDS)


def _ignore_signals() -> None:
    """It has left already: to be told so once more changes nothing, and the loop's end would give the signals their deadly meaning back."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fusiond serve", description="Run the daemon.")
    parser.add_argument("--config", type=Path, metavar="PATH", help=CONFIGURATION)
    parser.add_argument(
        "--listen", action="append", type=_address, metavar="ADDRESS", help="HOST:PORT, unix:PATH or unix, in place of server.listen."
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"], help="What goes to standard error.")
    return parser


def _address(text: str) -> str:
    try:
        parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' {error}") from None
    return text


def _log(level: str) -> None:
    """To standard error; without a time where the journal adds its own."""
    form = "%(levelname)s %(message)s" if "JOURNAL_STREAM" in os.environ else "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=level.upper(), format=form, stream=sys.stderr)
    for loud in ("httpx", "httpcore", "aiohttp.access", "watchfiles", "asyncio"):
        logging.getLogger(loud).setLevel(logging.WARNING)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  # not everywhere
    except ImportError:
        return None
    return uvloop.new_event_loop
