"""The summary of a measurement, as tables."""

from __future__ import annotations

from pathlib import Path

from fusiond.cli.terminal import dollars, say, show_table
from fusiond.scoring.figures import Share
from fusiond.scoring.summary import Calibration, Standing, Summary


def show_summary(told: Summary, out: Path) -> None:
    """Print it. Every interval holds the truth with a chance of 95%."""
    say(f"{told.questions} questions, {told.scored} of them scored; answers in {out}")
    for why, count in told.unscored.items():
        say(f"not asked, for it could not be scored: {count}: {why}", "yellow")
    for voice, count in told.unheard.items():
        say(f"{voice} was not asked {count} of them", "yellow")
    show_table(("model", "asked", "right", "accuracy", "95%", "failed", "cost", "a question", "p50", "p95"), [_row(each) for each in told.standings])
    if told.versus:
        rows = [(each.fusion, each.member, str(each.questions), _points(each.difference), _verdict(each.difference)) for each in told.versus]
        show_table(("fusion", "less member", "questions", "points, with 95%", "so it is"), rows)
    if told.ceiling:
        say(f"ceiling: some member was right on {_percent(told.ceiling.value)} ({_interval(told.ceiling)})")
    for each in told.calibration:
        _show_calibration(each)


def _row(each: Standing) -> tuple[str, ...]:
    accuracy, apiece = _percent(each.accuracy.value), dollars(round(each.cost_usd / each.questions, 8))
    seconds = ["" if value is None else f"{value:.2f} s" for value in (each.p50, each.p95)]
    cost = dollars(round(each.cost_usd, 8))
    return (each.name, str(each.questions), str(each.right), accuracy, _interval(each.accuracy), str(each.failed or ""), cost, apiece, *seconds)


def _show_calibration(each: Calibration) -> None:
    say(f"confidence of {each.fusion} ({each.questions} answers that stated one): off by {100 * each.error:.1f} points on average")
    show_table(("answers", "said", "right"), [(str(one.count), _percent(one.confidence), _percent(one.right)) for one in each.bins])


def _points(share: Share) -> str:
    return f"{100 * share.value:+.1f} ({100 * share.low:+.1f} to {100 * share.high:+.1f})"


def _verdict(share: Share) -> str:
    return "better" if share.low > 0 else "worse" if share.high < 0 else "not told apart"


def _interval(share: Share) -> str:
    return f"{100 * share.low:.1f} to {100 * share.high:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
