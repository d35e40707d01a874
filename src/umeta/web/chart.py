"""Knows how curves, intervals and maps are drawn as SVG that takes its colors from the page around it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 36
DIGIT = 8
ROW = 28
LEGEND = 18
DASHES = ("", "7 4", "2 4", "9 3 2 3")
CELL = 24
DOTTED_UP_TO = 6


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        name: What its `title` says.
        points: Pairs of x and y.
        halves: Of each point the half-width of its interval; empty for none.
    """

    name: str
    points: Sequence[tuple[float, float]]
    halves: Sequence[float] = ()


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers in `[low, high]`, about so many of them, a power of ten times 1, 2 or 5 apart."""
    span = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= about + 2)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def curves(title: str, lines: Sequence[Line], *, x_label: str, seams: Sequence[float] = (), legend: bool = False) -> Markup:
    """Draw curves over common axes; points that are no finite numbers are left out.

    Args:
        title: For screen readers, and the file's first words.
        lines: What to draw.
        x_label: Under the horizontal axis.
        seams: Where dashed vertical lines stand.
        legend: Whether curves are told apart by color and dashes, and named below; the first is marked.
    """
    lines = [_finite(line) for line in lines]
    edges = [(x, y + side * half) for line in lines for (x, y), half in zip(line.points, line.halves, strict=False) for side in (-1, 1)]
    every = [point for line in lines for point in line.points] + edges or [(0.0, 0.0)]
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    low, high = _padded(min(y for _, y in every), max(y for _, y in every))
    right = right if right > left else left + 1
    edge = max(LEFT, 10 + DIGIT * max(len(f"{value:g}") for value in ticks(low, high)))

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (x - left) / (right - left), (y - low) / (high - low)
        return edge + across * (WIDTH - edge - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = []
    for value in ticks(low, high):
        y = place(left, value)[1]
        parts.append(f'<line class="grid" x1="{edge}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{edge - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks(left, right, 6):
        parts.append(f'<text x="{place(value, low)[0]:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{value:g}</text>')
    for seam in seams:
        x = place(seam, low)[0]
        parts.append(f'<line class="seam" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    for index, line in enumerate(lines):
        places = [place(*point) for point in line.points]
        kind, dash = ("own", "") if index == 0 or not legend else ("other", DASHES[index % len(DASHES)])
        if line.halves:
            upper, lower = ([(x, y + side * half) for (x, y), half in zip(line.points, line.halves, strict=True)] for side in (1, -1))
            parts.append(f'<polygon class="band {kind}" points="{_path([place(*point) for point in [*upper, *lower[::-1]]])}"/>')
        drawn = f'class="curve {kind}" stroke-dasharray="{dash}"' if legend else 'class="curve"'
        parts.append(f'<polyline {drawn} points="{_path(places)}"><title>{escape(line.name)}</title></polyline>')
        if len(places) <= DOTTED_UP_TO:
            parts += [f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
        if legend:
            y = HEIGHT + LEGEND * (index + 0.5)
            parts.append(f'<line class="curve {kind}" stroke-dasharray="{dash}" x1="{edge}" x2="{edge + 44}" y1="{y}" y2="{y}"/>')
            parts.append(f'<text x="{edge + 54}" y="{y + 4}">{escape(line.name)}</text>')
    parts.append(f'<text x="{(edge + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_label)}</text>')
    return _svg(title, HEIGHT + LEGEND * len(lines) * legend, parts)


def heat(title: str, rows: Sequence[Sequence[float]], low: float, high: float) -> Markup:
    """Draw a table of numbers as squares, the fuller the larger the number; a scale stands below.

    Args:
        title: For screen readers.
        rows: The numbers, the first row on top.
        low: The number of an empty square.
        high: The number of a full one; where it is not above `low`, squares are full.
    """
    width, height = CELL * len(rows[0]), CELL * len(rows)

    def square(x: float, y: float, value: float) -> str:
        full = (value - low) / (high - low) if high > low else 1.0
        told = f"<title>{value:.3g}</title>"
        return f'<rect class="cell" x="{x:g}" y="{y:g}" width="{CELL}" height="{CELL}" fill-opacity="{full:.3f}">{told}</rect>'

    parts = [square(CELL * column, CELL * row, value) for row, values in enumerate(rows) for column, value in enumerate(values)]
    parts.append(f'<rect class="edge" x="0" y="0" width="{width}" height="{height}"/>')
    scale = [low + (high - low) * index / 4 for index in range(5)]
    parts += [square(60 + CELL * index, height + 12, value) for index, value in enumerate(scale)]
    parts.append(f'<text x="54" y="{height + 29}" text-anchor="end">{low:.3g}</text>')
    parts.append(f'<text x="{66 + CELL * len(scale)}" y="{height + 29}">{high:.3g}</text>')
    return _svg(title, height + CELL + 20, parts, max(width, 60 + CELL * len(scale) + 60))


def intervals(title: str, rows: Sequence[tuple[str, float, float]]) -> Markup:
    """Draw each named value with its interval, all on one scale; the first is marked.

    Args:
        title: For screen readers.
        rows: Name, value and half-width of the interval.
    """
    margins = [half if math.isfinite(half) else 0.0 for _, _, half in rows]
    low = min(value - half for (_, value, _), half in zip(rows, margins, strict=True))
    high = max(value + half for (_, value, _), half in zip(rows, margins, strict=True))
    low, high = _padded(low, high)
    names = 230
    height = ROW * len(rows) + BOTTOM

    def place(x: float) -> float:
        return names + (x - low) / (high - low) * (WIDTH - names - RIGHT - 8)

    parts = []
    for value in ticks(low, high):
        x = place(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - BOTTOM + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - BOTTOM + 20}" text-anchor="middle">{value:g}</text>')
    for index, ((name, value, _), half) in enumerate(zip(rows, margins, strict=True)):
        y, kind = ROW * index + ROW / 2 + 2, "own" if index == 0 else "other"
        shown = name if len(name) <= 30 else f"{name[:29]}…"
        parts.append(f'<text x="{names - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(shown)}</text>')
        parts.append(f'<line class="{kind}" x1="{place(value - half):.1f}" x2="{place(value + half):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<circle class="{kind}" cx="{place(value):.1f}" cy="{y}" r="5"><title>{escape(name)}: {value:.2f} ±{half:.2f}</title></circle>'
        )
    return _svg(title, height, parts)


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _finite(line: Line) -> Line:
    kept = [index for index, point in enumerate(line.points) if all(map(math.isfinite, point))]
    halves = [half if math.isfinite(half) else 0.0 for half in line.halves]
    return Line(line.name, [line.points[index] for index in kept], [halves[index] for index in kept] if halves else ())


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _svg(title: str, height: float, parts: Sequence[str], width: float = WIDTH) -> Markup:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
    return Markup(head + "".join(parts) + "</svg>")  # every text in the parts is escaped above
