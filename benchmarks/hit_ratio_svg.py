"""
Draws hit ratios: a small plot for each trace, readable on light and on dark.
"""

from collections.abc import Iterator
from html import escape

import attrs

_WIDTH, _HEIGHT = 280, 190
_LEFT, _TOP = 56, 96
_ACROSS, _DOWN = 352, 272
_COLUMNS = 3

# Name, class, and what the line looks like in light and dark.
_STYLES = {
    "tinylfu": ("a", "stroke-width:3", "#1a7f37", "#3fb950"),
    "wlru": ("b", "stroke-width:2.4", "#0969da", "#58a6ff"),
    "lru": ("c", "stroke-width:2.4", "#57606a", "#9da7b1"),
    "S3-FIFO": ("d", "stroke-dasharray:7 3", "#bc4c00", "#f0883e"),
    "LRU-2": ("e", "stroke-dasharray:2 3", "#8250df", "#bc8cff"),
    "ARC": ("f", "stroke-dasharray:9 3 2 3", "#bf3989", "#f778ba"),
    "the future known": ("g", "stroke-width:1", "#9a6700", "#d29922"),
}

_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
font-family="system-ui, sans-serif" font-size="13" role="img" aria-labelledby="t d">
  <title id="t">Hit ratio by cache size</title>
  <desc id="d">{description}</desc>
  <style>
    text{{fill:#1f2328}} .s{{font-size:11px;fill:#57606a}} .m{{text-anchor:middle}}
    .e{{text-anchor:end}} .h{{font-weight:600}}
    .grid{{stroke:#d0d7de;stroke-width:1}}
    path{{fill:none;stroke-width:1.8;stroke-linejoin:round}}
    {light}
    @media (prefers-color-scheme: dark){{
      text{{fill:#e6edf3}} .s{{fill:#9da7b1}} .grid{{stroke:#30363d}}
      {dark}
    }}
  </style>
"""


@attrs.frozen
class Panel:
    """
    The plot of one trace.

    Attributes:
        title: Its name.
        shares: Sizes of the cache, as parts of the bytes of all chunks.
        ratios: Hit ratios by policy, one for each size.
    """

    title: str
    shares: tuple[float, ...]
    ratios: dict[str, list[float]]

    @property
    def top(self) -> float:
        """
        Where the vertical axis ends, above all hit ratios: at a tenth up to 0.5, then
        at two tenths.
        """
        highest = max(max(row) for row in self.ratios.values())
        step = 0.1 if highest < 0.5 else 0.2
        return min(1.0, (int(highest / step) + 1) * step)


def draw(panels: list[Panel]) -> str:
    """
    Draw all plots and the legend as an SVG document.
    """
    rows = -(-len(panels) // _COLUMNS)
    width = _LEFT + _COLUMNS * _ACROSS - 40
    height = _TOP + rows * _DOWN - 40
    described = "; ".join(_described(panel) for panel in panels)
    head = _HEAD.format(
        width=width,
        height=height,
        description=escape(f"At the middle size of the cache: {described}."),
        light=" ".join(
            f".l{name}{{stroke:{light};{dash}}}"
            for name, dash, light, _ in _STYLES.values()
        ),
        dark=" ".join(
            f".l{name}{{stroke:{dark}}}" for name, _, _, dark in _STYLES.values()
        ),
    )
    lines = [*_legend(), *(line for n, p in enumerate(panels) for line in _panel(n, p))]
    return head + "\n".join(f"  {line}" for line in lines) + "\n</svg>\n"


def _described(panel: Panel) -> str:
    middle = len(panel.shares) // 2
    values = (f"{name} {row[middle]:.2f}" for name, row in panel.ratios.items())
    return f"{panel.title}: {', '.join(values)}"


def _legend() -> Iterator[str]:
    yield (
        '<text class="h" x="16" y="24">Part of the bytes read that comes from the '
        "cache, by its size as a part of the data</text>"
    )
    x = 16.0
    for title, (name, *_) in _STYLES.items():
        yield f'<path class="l{name}" d="M{x:.0f} 46h34"/>'
        yield f'<text x="{x + 40:.0f}" y="50">{title}</text>'
        x += 66 + 7.2 * len(title)


def _panel(number: int, panel: Panel) -> Iterator[str]:
    left = _LEFT + number % _COLUMNS * _ACROSS
    top = _TOP + number // _COLUMNS * _DOWN
    yield f'<text class="h" x="{left}" y="{top - 12}">{escape(panel.title)}</text>'
    steps = round(panel.top * 10)
    for step in range(0, steps + 1, 1 if steps <= 5 else 2):
        y = top + _HEIGHT * (1 - step / steps)
        yield f'<path class="grid" d="M{left} {y:.1f}h{_WIDTH}"/>'
        yield f'<text class="s e" x="{left - 6}" y="{y + 4:.1f}">{step / 10:.1f}</text>'
    gap = _WIDTH / (len(panel.shares) - 1)
    for place, share in enumerate(panel.shares):
        x = left + place * gap
        text = f"{share * 100:.3g}%"
        yield f'<text class="s m" x="{x:.1f}" y="{top + _HEIGHT + 17}">{text}</text>'
    for title, row in reversed(panel.ratios.items()):
        points = (
            f"{left + place * gap:.1f} {top + _HEIGHT * (1 - ratio / panel.top):.1f}"
            for place, ratio in enumerate(row)
        )
        yield f'<path class="l{_STYLES[title][0]}" d="M{" ".join(points)}"/>'
