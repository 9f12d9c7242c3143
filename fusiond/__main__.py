"""`python -m fusiond`, and the command `fusiond`.

`serve` is told apart here, so that the daemon never loads what only the terminal needs.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

INTERRUPTED = 130


def main() -> int:
    """Run a command. Returns its exit code; an interrupt is one like others, however early it comes."""
    try:
        return _run()
    except KeyboardInterrupt:
        return INTERRUPTED


def _run() -> int:
    if sys.argv[1:2] == ["serve"]:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # until the daemon has its own: there is nothing to finish yet
        gc.disable()  # what is loaded stays: looking for garbage in it only takes time, until the daemon listens
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # nobody is to look for plugins, or to read along as one
        from fusiond.cli.serve import main as serve  # noqa: PLC0415

        code = serve(sys.argv[2:])
        sys.stderr.flush()
        os._exit(code)  # everything is closed; whatever still looks up a name is not waited for
    from fusiond.cli.app import main as command  # noqa: PLC0415

    return command()


if __name__ == "__main__":
    sys.exit(main())
