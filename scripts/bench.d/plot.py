# SPDX-License-Identifier: Apache-2.0
"""Line plots as SVG: how cost grows with work."""

import math
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 50, 55
MOST_TICKS = 8
# The same for the same name in every plot.
KNOWN = {"topolb": "#0072b2", "nftables": "#d55e00", "iptables": "#cc79a7", "direct": "#009e73"}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#444444")


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    name: str
    points: list[Point]


@dataclass(frozen=True)
class Plot:
    """Both axes are logarithmic: what is flat costs the same for any amount of work."""

    name: str
    title: str
    x_label: str
    y_label: str
    series: list[Series]


class Axis:
    """From a tick at or below the least value to one at or above the greatest."""

    def __init__(self, values: list[float], first: float, last: float):
        self._first, self._last = first, last
        powers = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
        ticks = [10.0 ** power * step for power in powers for step in (1, 2, 5)]
        low = max((i for i, tick in enumerate(ticks) if tick <= min(values) * 1.0001))
        high = min((i for i, tick in enumerate(ticks) if tick >= max(values) * 0.9999))
        self.ticks = ticks[low:max(high, low + 1) + 1]
        self._low, self._high = math.log10(self.ticks[0]), math.log10(self.ticks[-1])
        if len(self.ticks) > MOST_TICKS:
            self.ticks = [tick for tick in self.ticks if round(math.log10(tick), 6).is_integer()]

    def at(self, value: float) -> float:
        part = (math.log10(value) - self._low) / (self._high - self._low)
        return self._first + part * (self._last - self._first)


def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def draw(plot: Plot) -> str:
    points = [point for series in plot.series for point in series.points]
    x_axis = Axis([point.x for point in points], LEFT, WIDTH - RIGHT)
    y_axis = Axis([value for point in points for value in (point.low, point.high)],
                  HEIGHT - BOTTOM, TOP)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(LEFT, 24, plot.title, "start", 'font-size="16" font-weight="bold"'),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, plot.x_label),
        text(LEFT, TOP - 10, plot.y_label, "start"),
    ]
    for tick in x_axis.ticks:
        x = x_axis.at(tick)
        parts += [line(x, TOP, x, HEIGHT - BOTTOM, "#eee"),
                  text(x, HEIGHT - BOTTOM + 18, f"{tick:,.0f}")]
    for tick in y_axis.ticks:
        y = y_axis.at(tick)
        parts += [line(LEFT, y, WIDTH - RIGHT, y, "#ddd"), text(LEFT - 8, y + 4, f"{tick:,g}", "end")]
    for i, (series, y) in enumerate(zip(plot.series, label_places(plot.series, y_axis))):
        colour = KNOWN.get(series.name, COLOURS[i % len(COLOURS)])
        parts += draw_series(series, x_axis, y_axis, colour, y)
    return "\n".join([*parts, "</svg>", ""])


def label_places(series: list[Series], y_axis: Axis) -> list[float]:
    """Beside the last point of each, moved down where two would cover each other."""
    wanted = sorted((y_axis.at(one.points[-1].y), i) for i, one in enumerate(series))
    places = [0.0] * len(series)
    last = -math.inf
    for y, i in wanted:
        last = places[i] = max(y, last + 15)
    return places


def draw_series(series: Series, x_axis: Axis, y_axis: Axis, colour: str, label_y: float) -> list[str]:
    places = [(x_axis.at(point.x), y_axis.at(point.y)) for point in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for point, (x, y) in zip(series.points, places):
        parts += [line(x, y_axis.at(point.low), x, y_axis.at(point.high), colour),
                  f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>']
    return [*parts, text(WIDTH - RIGHT + 10, label_y + 4, series.name, "start", f'fill="{colour}"')]
