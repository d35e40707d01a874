"""Knows how curves and intervals are drawn as SVG that takes its colors from the page around it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 36
ROW = 28
DOTTED_UP_TO = 6


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        name: What its `title` says.
        points: Pairs of x and y.
    """

    name: str
    points: Sequence[tuple[float, float]]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers in `[low, high]`, about so many of them, a power of ten times 1, 2 or 5 apart."""
    span = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= about + 2)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def curves(title: str, lines: Sequence[Line], *, x_label: str, seams: Sequence[float] = ()) -> Markup:
    """Draw curves over common axes; points that are no finite numbers are left out.

    Args:
        title: For screen readers, and the file's first words.
        lines: What to draw.
        x_label: Under the horizontal axis.
        seams: Where dashed vertical lines stand.
    """
    lines = [Line(line.name, [point for point in line.points if all(map(math.isfinite, point))]) for line in lines]
    every = [point for line in lines for point in line.points] or [(0.0, 0.0)]
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    low, high = _padded(min(y for _, y in every), max(y for _, y in every))
    right = right if right > left else left + 1

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (x - left) / (right - left), (y - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = []
    for value in ticks(low, high):
        y = place(left, value)[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks(left, right, 6):
        parts.append(f'<text x="{place(value, low)[0]:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{value:g}</text>')
    for seam in seams:
        x = place(seam, low)[0]
        parts.append(f'<line class="seam" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    for line in lines:
        places = [place(*point) for point in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="curve" points="{path}"><title>{escape(line.name)}</title></polyline>')
        if len(places) <= DOTTED_UP_TO:
            parts += [f'<circle class="own" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_label)}</text>')
    return _svg(title, HEIGHT, parts)


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


def _svg(title: str, height: float, parts: Sequence[str]) -> Markup:
    head = f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
    return Markup(head + "".join(parts) + "</svg>")  # every text in the parts is escaped above
