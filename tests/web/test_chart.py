"""Numbers by hand, and that what is drawn is where it should be."""

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from umeta.web.chart import BOTTOM, CELL, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, curves, heat, intervals, ticks


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (24, 36, [24, 26, 28, 30, 32, 34, 36]),
        (-0.3, 0.3, [-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]),
        (97.6, 98.9, [97.6, 97.8, 98.0, 98.2, 98.4, 98.6, 98.8]),
    ],
)
def test_ticks_are_round_and_inside(low, high, wanted):
    found = ticks(low, high)
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
    assert found == pytest.approx(wanted) or set(found) <= set(wanted)
    assert 3 <= len(found) <= 7


def points_of(svg):
    lines = ElementTree.fromstring(svg).findall("polyline")
    return [[tuple(map(float, pair.split(","))) for pair in line.get("points").split()] for line in lines]


def test_a_curve_goes_from_corner_to_corner():
    (points,) = points_of(curves("loss", [Line("a", [(0, 0), (5, 10), (10, 20)])], x_label="minutes"))
    inside = (HEIGHT - TOP - BOTTOM) / 1.1
    assert points[0] == pytest.approx((LEFT, HEIGHT - BOTTOM - 0.05 * inside), abs=0.2)
    assert points[2] == pytest.approx((WIDTH - RIGHT, TOP + 0.05 * inside), abs=0.2)
    assert points[1] == pytest.approx(((points[0][0] + points[2][0]) / 2, (points[0][1] + points[2][1]) / 2), abs=0.2)


@pytest.mark.parametrize("points", [[], [(0, math.nan)], [(1, 3)], [(0, 2), (1, 2)], [(0, 1), (1, math.inf), (2, 1)]])
def test_odd_curves_are_drawn_without_nan(points):
    svg = curves("loss", [Line("a", points)], x_label="minutes")
    ElementTree.fromstring(svg)
    assert "nan" not in svg and "inf" not in svg


def test_names_are_escaped_and_intervals_have_their_width():
    svg = intervals("accuracy", [("<script>", 50.0, 5.0), ("b & c", 40.0, 10.0), ("one task", 45.0, math.nan)])
    tree = ElementTree.fromstring(svg)
    widths = [float(line.get("x2")) - float(line.get("x1")) for line in tree.findall("line") if line.get("class") in ("own", "other")]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.02) and widths[2] == 0
    assert "<script>" not in svg and "nan" not in svg.replace("±0.00", "")


def test_intervals_around_curves_are_inside_and_curves_are_named():
    drawn = curves("t", [Line("<a>", [(0, 1), (1, 3)], [0.5, 2]), Line("b", [(0, 2), (1, math.nan)], [1, 1])], x_label="x", legend=True)
    svg = ElementTree.fromstring(drawn)
    bands = [[tuple(map(float, pair.split(","))) for pair in band.get("points").split()] for band in svg.findall("polygon")]
    assert [len(band) for band in bands] == [4, 2]
    assert all(TOP <= y <= HEIGHT - BOTTOM for band in bands for _, y in band)
    (_, upper), (_, wide), (_, narrow), (_, lower) = bands[0]
    assert lower - upper == pytest.approx((narrow - wide) / 4, abs=0.2), "1 high at the left and 4 at the right"
    assert [line.get("class") for line in svg.findall("polyline")] == ["curve own", "curve other"]
    assert [text.text for text in svg.findall("text")][-3:] == ["<a>", "b", "x"]


def test_the_fuller_the_larger():
    drawn = heat("t", [[1, 2], [3, 5], [4, 1]], 1, 5)
    cells = ElementTree.fromstring(drawn).findall("rect[@class='cell']")
    assert [float(cell.get("fill-opacity")) for cell in cells[:6]] == [0, 0.25, 0.5, 1, 0.75, 0]
    assert [(float(cell.get("x")), float(cell.get("y"))) for cell in cells[:3]] == [(0, 0), (CELL, 0), (0, CELL)]
    assert [float(cell.get("fill-opacity")) for cell in cells[6:]] == [0, 0.25, 0.5, 0.75, 1]
    assert 'fill-opacity="1.000"' in heat("t", [[2.0]], 2, 2)


def test_long_numbers_beside_a_curve_have_room():
    def left_of(values):
        svg = curves("loss", [Line("a", list(enumerate(values)))], x_label="x")
        labels = re.findall(r'<text x="([\d.]+)"[^>]*text-anchor="end">([^<]+)</text>', svg)
        return min(float(x) - 7.5 * len(text) for x, text in labels), float(labels[0][0])

    room, edge = left_of([-137.25, -137.21])
    assert room >= 0 and edge > 46
    assert left_of([0, 1])[1] == 46
