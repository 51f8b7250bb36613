"""
Draws how a crowd came by an object: the part of the nodes that have it, over time.
"""

from collections.abc import Sequence
from html import escape

from eliop2p.testing.scenarios import Outcome

_WIDTH, _HEIGHT = 640, 360
_LEFT, _TOP, _ACROSS, _DOWN = 60, 46, 540, 250
_COLOURS = ("#0969da", "#1a7f37", "#bc4c00", "#8250df", "#bf3989", "#9a6700")

_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
font-family="system-ui, sans-serif" font-size="12" role="img" aria-labelledby="t">
  <title id="t">{title}</title>
  <style>
    text{{fill:#57606a}} .grid{{stroke:#8c959f;stroke-width:.5}}
    path{{fill:none;stroke-width:2}} .bound{{stroke:#8c959f;stroke-dasharray:4 3}}
  </style>
"""


def plot(title: str, outcomes: Sequence[tuple[str, Outcome]]) -> str:
    """
    Write an SVG image; times are relative to the bound, which is at 1.
    """
    longest = max(
        [1.5, *(outcome.ratio(1.0) for _, outcome in outcomes if outcome.times)]
    )
    longest = min(longest, 10.0)
    lines = [_HEAD.format(width=_WIDTH, height=_HEIGHT, title=escape(title))]
    lines.append(f'  <text x="{_LEFT}" y="20">{escape(title)}</text>')
    lines += _grid(longest)
    for at, (name, outcome) in enumerate(outcomes):
        colour = _COLOURS[at % len(_COLOURS)]
        lines.append(f'  <path stroke="{colour}" d="{_steps(outcome, longest)}"/>')
        y = _TOP + 16 + 16 * at
        lines.append(
            f'  <text x="{_LEFT + 8}" y="{y}" style="fill:{colour}">{escape(name)}'
            "</text>"
        )
    lines.append("</svg>\n")
    return "\n".join(lines)


def _x(ratio: float, longest: float) -> float:
    return round(_LEFT + _ACROSS * min(ratio / longest, 1.0), 1)


def _y(part: float) -> float:
    return round(_TOP + _DOWN * (1 - part), 1)


def _grid(longest: float) -> list[str]:
    lines = []
    for percent in (0, 50, 100):
        y = _y(percent / 100)
        lines.append(
            f'  <path class="grid" d="M{_LEFT} {y}h{_ACROSS}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{percent}%</text>'
        )
    bound = _x(1.0, longest)
    lines.append(
        f'  <path class="bound" d="M{bound} {_TOP}v{_DOWN}"/>'
        f'<text x="{bound}" y="{_TOP + _DOWN + 18}" text-anchor="middle">1.0</text>'
        f'<text x="{_LEFT + _ACROSS}" y="{_TOP + _DOWN + 18}" text-anchor="end">'
        f"{longest:.2f} x bound</text>"
    )
    return lines


def _steps(outcome: Outcome, longest: float) -> str:
    bound, count = outcome.plan.bound, max(outcome.counted, 1)
    path = f"M{_x(0, longest)} {_y(0)}"
    for at, seconds in enumerate(outcome.times, 1):
        path += f"H{_x(seconds / bound, longest)}V{_y(at / count)}"
    return path
