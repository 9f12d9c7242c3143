"""What tuning on few labels brings, on recorded answers of real models: `FUSIOND_EVAL_DATA=FOLDER python -m bench.tuned`.

Of each of five sets 50 questions teach and the others are scored, at four draws; sets weigh the same. Keys and their truth are those of the
recordings.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from bench.keyed import voters
from bench.recorded import PRICES, SETS, Record, Recordings, options
from fusiond.scoring.replay import Recorded, Said, Voice, replayed
from fusiond.scoring.tuning import Result, fitted, result, tuned

LABELS, DRAWS = 50, 4
USUAL_CALL = (1000, 500)


def panel_of(recordings: Recordings) -> list[Voice]:
    """Everybody who may be asked."""
    usual = {name: float(PRICES[name][0] * USUAL_CALL[0] + PRICES[name][1] * USUAL_CALL[1]) for name in recordings.escalate}
    return [Voice(voter=voter, price=PRICES[voter.name] if voter.paid else None) for voter in voters(recordings.free, usual)]


def recorded(recordings: Recordings) -> list[Recorded]:
    """The questions of a set."""
    return [_recorded(record, (*recordings.free, *recordings.escalate)) for record in recordings.records()]


def _recorded(record: Record, names: Sequence[str]) -> Recorded:
    answers = record["answers"]
    truth = next((told["extracted"] for told in answers.values() if told["correct"] and told["extracted"] is not None), record["gold_key"])
    said = {
        name: Said(key=t["extracted"], prompt_tokens=t["prompt_tokens"], completion_tokens=t["completion_tokens"])
        for name in names
        for t in [answers[name]]
    }
    return Recorded(id=record["id"], kind="", options=options(record), truth=truth, said=said)


def measured(thrift: float, draw: int) -> list[tuple[Result, Result]]:
    """For each set: by default, and tuned, on the questions that did not teach."""
    return [_measured(panel_of(each), recorded(each), thrift, draw) for each in SETS]


def _measured(panel: Sequence[Voice], records: list[Recorded], thrift: float, draw: int) -> tuple[Result, Result]:
    random.Random(draw).shuffle(records)  # noqa: S311  # the same draws every time
    after = tuned("", panel, records[:LABELS], thrift).after
    scored = records[LABELS:]
    return result(replayed(panel, scored, thrift)), result(replayed(fitted(panel, after), scored, after.thrift))


def told(results: Sequence[Result]) -> tuple[float, float, float]:
    """Points above the strongest alone, percent of its cost, points by which confidence is off; sets weigh the same."""
    count = len(results)
    gain = sum(100 * (each.right - each.strongest) for each in results) / count
    return gain, sum(100 * each.cost for each in results) / count, sum(100 * each.confidence_error for each in results) / count


def main() -> None:
    """Print a row for each thrift, by default and tuned."""
    print("| thrift | | points above the strongest | of its cost | confidence off by |\n|---|---|---|---|---|")
    for thrift in (0.08, 0.1, 0.12, 0.16):
        pairs = [pair for draw in range(DRAWS) for pair in measured(thrift, draw)]
        for title, place in (("default", 0), ("tuned", 1)):
            gain, cost, error = told([pair[place] for pair in pairs])
            print(f"| {thrift} | {title} | {gain:+.1f} | {cost:.0f}% | {error:.1f} points |", flush=True)


if __name__ == "__main__":
    main()
