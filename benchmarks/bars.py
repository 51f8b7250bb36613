"""
Draws how costs compare, as bars that are readable on light and on dark.
"""

from collections.abc import Sequence
from html import escape

import attrs

_ROW, _TOP, _LEFT, _SCALE = 22, 64, 250, 260

_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
font-family="system-ui, sans-serif" font-size="13" role="img" aria-labelledby="t d">
  <title id="t">{title}</title>
  <desc id="d">{description}</desc>
  <style>
    text{{fill:#1f2328}} .s{{font-size:11px;fill:#57606a}} .e{{text-anchor:end}}
    .h{{font-weight:600}} .a{{fill:#1a7f37}} .b{{fill:#9a6700}} .one{{stroke:#57606a}}
    @media (prefers-color-scheme: dark){{
      text{{fill:#e6edf3}} .s{{fill:#9da7b1}} .a{{fill:#3fb950}} .b{{fill:#d29922}}
    }}
  </style>
"""


@attrs.frozen
class Bar:
    """
    One ratio.

    Attributes:
        label: Of what.
        value: The median; 1 is as good as the peer.
        low: The least.
        high: The most.
    """

    label: str
    value: float
    low: float
    high: float


def draw(title: str, bars: Sequence[Bar]) -> str:
    """
    Draw bars, and a line where they are as good as the peer.
    """
    most = max((1.2, *(bar.high for bar in bars)))
    width = _LEFT + _SCALE * most + 70
    height = _TOP + _ROW * len(bars) + 12
    described = "; ".join(f"{bar.label}: {bar.value:.2f}" for bar in bars)
    lines = [
        _HEAD.format(
            width=round(width),
            height=height,
            title=escape(title),
            description=escape(described),
        ),
        f'<text class="h" x="12" y="24">{escape(title)}</text>',
        f'<text class="s" x="{_LEFT + _SCALE - 3}" y="{_TOP - 10}">1.0</text>',
    ]
    for number, bar in enumerate(bars):
        y = _TOP + _ROW * number
        kind = "a" if bar.value >= 1 else "b"
        long = bar.value * _SCALE
        low, high = (f"{_LEFT + end * _SCALE:.0f}" for end in (bar.low, bar.high))
        lines += [
            f'<text class="e" x="{_LEFT - 8}" y="{y + 14}">{escape(bar.label)}</text>',
            f'<path class="{kind}" d="M{_LEFT} {y + 2}h{long:.0f}v15H{_LEFT}z"/>',
            f'<path class="one" d="M{low} {y + 9.5}H{high}"/>',
            f'<text class="s" x="{high}" dx="6" y="{y + 14}">{bar.value:.2f}</text>',
        ]
    x = _LEFT + _SCALE
    lines.append(f'<path class="one" d="M{x} {_TOP - 4}V{height - 8}"/>')
    return "\n".join(lines) + "\n</svg>\n"
