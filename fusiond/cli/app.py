"""The commands, and what they have in common: their options, their exit codes, and that no expected failure is a traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fusiond import __version__
from fusiond.cli import CONFIGURATION
from fusiond.cli.client import Client, Trouble
from fusiond.cli.streams import give_up_output, mend, text_of
from fusiond.cli.terminal import complain

FAILED = 1

app = typer.Typer(
    name="fusiond",
    help="Several language models, one answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain words; the tables give flags a type
    context_settings={"help_option_names": ["-h", "--help"]},
)

Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="The daemon: http://HOST:PORT or unix:PATH ($FUSIOND_URL).")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="PATH", help=CONFIGURATION)]


def main() -> int:
    """Run the command that the arguments name. Returns its exit code."""
    mend()
    if sys.stdout is None:
        complain("standard output is closed")
        return FAILED
    try:
        code = _ran()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has left, and nobody need be told
        give_up_output()
        return FAILED
    except OSError as error:
        complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
        give_up_output()
        return FAILED
    return code


def _ran() -> int:
    try:
        app(prog_name="fusiond")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else FAILED
    except Trouble as trouble:
        complain(str(trouble))
        return FAILED
    return 0


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Several language models, one answer."""
    if version:
        typer.echo(f"fusiond {__version__}")
        raise typer.Exit


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def serve(context: typer.Context) -> None:
    """Run the daemon."""
    from fusiond.cli.serve import main as run  # noqa: PLC0415  # the daemon is loaded by the command that runs it

    raise typer.Exit(run(context.args))


@app.command()
def check(config: ConfigFile = None, as_json: Json = False) -> None:
    """Say what a configuration means, or all that is wrong with it."""
    from fusiond.cli.check import check as run  # noqa: PLC0415

    raise typer.Exit(run(config, as_json))


@app.command()
def ask(
    prompt: Annotated[str, typer.Argument(metavar="[QUESTION]", help="The question; without one, or with -, it is read from standard input.")] = "-",
    model: Annotated[str, typer.Option("-m", "--model", metavar="NAME", help="What to ask: a fusion, a member, an alias.")] = "fusion",
    compare: Annotated[bool, typer.Option("--compare", help="Show all members side by side.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Ask one question."""
    from fusiond.cli.ask import ask as run  # noqa: PLC0415

    run(Client(url), text_of(prompt), model=text_of(model), compare=compare, as_json=as_json)


@app.command(name="eval")
def evaluate(  # noqa: PLR0913, PLR0917  # options are arguments
    questions: Annotated[
        Path, typer.Argument(metavar="SET.jsonl", help="Questions with their right answers: {id, question or messages, gold} a line.")
    ],
    model: Annotated[list[str] | None, typer.Option("-m", "--model", metavar="NAME", help="What to ask, once for each: a fusion, a member.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where answers are stored, and gone on from; by default SET.answers.jsonl.")
    ] = None,
    concurrency: Annotated[int, typer.Option(metavar="N", min=1, help="So many questions at once.")] = 4,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the first N questions.")] = None,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", min=1, help="How long an answer may be.")] = None,
    picture: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw accuracy against cost.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Measure accuracy, cost and latency on questions with known answers."""
    from fusiond.cli.eval import Wish, run  # noqa: PLC0415

    wish = Wish(
        questions=questions,
        models=tuple(dict.fromkeys(map(text_of, model or ["fusion"]))),
        out=out,
        picture=picture,
        concurrency=concurrency,
        limit=limit,
        max_tokens=max_tokens,
        as_json=as_json,
    )
    run(Client(url), wish)


@app.command()
def tune(  # noqa: PLR0913, PLR0917  # options are arguments
    recorded: Annotated[list[Path], typer.Argument(metavar="SET", help="Recorded answers: what eval has stored. Several files are one.")],
    model: Annotated[str, typer.Option("-m", "--model", metavar="NAME", help="The fusion that is tuned.")] = "fusion",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="What is written; by default tuned.toml beside the configuration.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Learn skills, panel and thrift of a fusion from recorded answers."""
    from fusiond.cli.tune import Wish, run  # noqa: PLC0415

    run(Client(url), Wish(recorded=tuple(recorded), model=text_of(model), out=out, yes=yes, dry_run=dry_run, as_json=as_json))


@app.command()
def models(url: Url = None, as_json: Json = False) -> None:
    """List what is served."""
    from fusiond.cli.show import models as run  # noqa: PLC0415

    run(Client(url), as_json=as_json)


@app.command()
def status(url: Url = None, as_json: Json = False) -> None:
    """Say how the daemon and its members are."""
    from fusiond.cli.show import status as run  # noqa: PLC0415

    run(Client(url), as_json=as_json)


@app.command()
def costs(
    since: Annotated[str | None, typer.Option("--since", metavar="DAY", help="Only what came on or after this day: YYYY-MM-DD, UTC.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Say what was spent and what was saved: by day, member and fusion."""
    from fusiond.cli.costs import costs as run  # noqa: PLC0415

    run(Client(url), since, as_json=as_json)


@app.command()
def reload(url: Url = None, as_json: Json = False) -> None:
    """Have the daemon read its configuration again."""
    from fusiond.cli.show import reload as run  # noqa: PLC0415

    raise typer.Exit(run(Client(url), as_json=as_json))


@app.command()
def demo(
    engine: Annotated[str, typer.Option(metavar="NAME", help="auto, builtin or ollama.")] = "auto",
) -> None:
    """Take a minute's tour on real models, with no set-up."""
    from fusiond.cli.demo import demo as run  # noqa: PLC0415

    if engine not in ("auto", "builtin", "ollama"):
        raise typer.BadParameter("auto, builtin or ollama", param_hint="--engine")
    run(engine)
