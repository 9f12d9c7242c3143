"""A small picture of a summary: accuracy against cost, or against time where nothing costs money. SVG, and nothing to load."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import floor, log10

from fusiond.scoring.summary import Standing, Summary

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 20, 52
LINE = 14
"""Between the baselines of two labels."""

FUSED, ALONE = "#0b6e4f", "#555"
Scale = Callable[[float], float]


def picture(told: Summary) -> str:
    """The SVG document: a point for every voice, with the interval of its accuracy."""
    paid = any(standing.cost_usd for standing in told.standings)
    unit = "USD per 1000 questions" if paid else "median seconds an answer (nobody costs money)"
    points = [(_across(standing, paid=paid), standing) for standing in told.standings]
    across, ticks = _axis([x for x, _ in points], LEFT, WIDTH - RIGHT, start=0.0)
    floor_of = min((standing.accuracy.low for standing in told.standings), default=0.0)
    up, marks = _axis([100 * s.accuracy.high for s in told.standings], HEIGHT - BOTTOM, TOP, start=floor(10 * floor_of) * 10.0)
    drawn = [*_grid(ticks, across, marks, up, unit), *(line for x, standing in points for line in _point(across(x), up, standing))]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    title = f"<title>Accuracy of {told.scored} questions</title>"
    return "\n".join((head, title, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *drawn, *_names(points, across, up), "</svg>\n"))


def _across(standing: Standing, *, paid: bool) -> float:
    return 1000 * standing.cost_usd / standing.questions if paid else standing.p50 or 0.0


def _axis(values: Sequence[float], begin: float, end: float, *, start: float) -> tuple[Scale, list[float]]:
    """From a figure to its place, and the figures that are written beside the axis: a handful of round ones."""
    reach = max((*values, start)) - start or 1.0
    rough = reach / 5
    power = 10.0 ** floor(log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
    stop = start + step * (floor(reach / step * 0.999) + 1)
    ticks = [start + step * place for place in range(round((stop - start) / step) + 1)]
    return (lambda value: begin + (end - begin) * (value - start) / (stop - start)), ticks


def _grid(ticks: Sequence[float], across: Scale, marks: Sequence[float], up: Scale, unit: str) -> Iterator[str]:
    low, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for tick in (tick for tick in marks if tick <= 100):
        yield f'<path d="M{LEFT} {up(tick):.1f}H{right}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 8}" y="{up(tick) + 4:.1f}" text-anchor="end" fill="#333">{tick:g}%</text>'
    for tick in ticks:
        yield f'<path d="M{across(tick):.1f} {low}v5" stroke="#999"/>'
        yield f'<text x="{across(tick):.1f}" y="{low + 18}" text-anchor="middle" fill="#333">{tick:.4g}</text>'
    yield f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle" fill="#333">{unit}</text>'
    turned = f'x="14" y="{(TOP + low) / 2}" transform="rotate(-90 14 {(TOP + low) / 2})"'
    yield f'<text {turned} text-anchor="middle" fill="#333">right, with 95% intervals</text>'


def _point(x: float, up: Scale, standing: Standing) -> Iterator[str]:
    share, colour = standing.accuracy, FUSED if standing.fused else ALONE
    yield f'<path d="M{x:.1f} {up(100 * share.low):.1f}V{up(100 * share.high):.1f}" stroke="{colour}" stroke-opacity=".45" stroke-width="2"/>'
    yield f'<circle cx="{x:.1f}" cy="{up(100 * share.value):.1f}" r="{6 if standing.fused else 4}" fill="{colour}"/>'


def _names(points: Sequence[tuple[float, Standing]], across: Scale, up: Scale) -> Iterator[str]:
    """Every name beside its point; where two would lie upon each other, the lower one gives way."""
    free = 0.0
    for x, standing in sorted(points, key=lambda point: -point[1].accuracy.value):
        place = max(up(100 * standing.accuracy.value) + 4, free)
        free = place + LINE
        weight = ' font-weight="bold"' if standing.fused else ""
        told = f"{escape(standing.name)} {100 * standing.accuracy.value:.1f}%"
        yield f'<text x="{across(x) + 10:.1f}" y="{place:.1f}" fill="{FUSED if standing.fused else ALONE}"{weight}>{told}</text>'
