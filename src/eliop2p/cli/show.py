"""
How numbers and texts of a node are written for people.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_UNBROKEN = 240
"""
Columns where there is no terminal: a line for grep must not be broken in two.
"""


def printable(value: object) -> str:
    """
    Give a text without what a terminal could take for an instruction.
    """
    return "".join(each for each in str(value or "") if each.isprintable())


def readable_bytes(count: float) -> str:
    """
    Write a number of bytes for people: ``8.0 MiB``.
    """
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{count:.0f} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


def readable_seconds(seconds: float) -> str:
    """
    Write a duration for people: its two largest units.
    """
    left = int(seconds)
    parts: list[str] = []
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, length)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def readable_moment(seconds: float | None) -> str:
    """
    Write a short time for people: ``1.2 ms``, and a dash for none.
    """
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def table(*headings: str, rows: Sequence[tuple[str, ...]]) -> Table:
    """
    Lay out rows below headings.
    """
    made = Table(*headings, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        made.add_row(*row)
    return made


def show(*parts: Any) -> None:
    """
    Print what rich can lay out, as it is: nothing in it is markup.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNBROKEN
    for part in parts:
        console.print(part)
