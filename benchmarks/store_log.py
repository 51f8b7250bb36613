"""
What left the store, by the log of nginx: who was sent which bytes, and which bytes were
sent again.
"""

from collections.abc import Container, Iterable
from pathlib import Path

import attrs

from eliop2p.model.ranges import Extents, parse_range

LOG_FORMAT = "$http_user_agent|$http_range|$body_bytes_sent|$msec|$request_time"
"""
A line for each request that has ended. Nodes hand on what their client calls itself.
"""


@attrs.frozen
class Sent:
    """
    The body of an answer, as far as it was sent.

    Attributes:
        client: What the client calls itself.
        start: Its place in the object.
        stop: The end of what was sent.
        began: When it was asked for, in seconds since 1970.
    """

    client: str
    start: int
    stop: int
    began: float


def read_log(path: Path) -> list[Sent]:
    """
    Read what was sent, in the order of asking.
    """
    found = []
    for line in path.read_text().splitlines():
        client, given, size, ended, took = line.split("|")
        spec = parse_range(given.encode())
        start = spec.first if spec is not None and spec.first is not None else 0
        began = float(ended) - float(took)
        found.append(Sent(client, start, start + int(size), began))
    return sorted(
        (each for each in found if each.stop > each.start), key=lambda each: each.began
    )


def sent_again(sent: Iterable[Sent], dead: Container[str]) -> tuple[int, int]:
    """
    Count bytes that were sent once more.

    Args:
        sent: All that was sent, in order.
        dead: The clients whose nodes were killed.

    Returns:
        Those that only the dead had been sent before, and the others.
    """
    living, anybody = Extents(), Extents()
    of_dead = others = 0
    for each in sent:
        mine = _common(each, living)
        others += mine
        of_dead += _common(each, anybody) - mine
        anybody.add(each.start, each.stop)
        if each.client not in dead:
            living.add(each.start, each.stop)
    return of_dead, others


def _common(sent: Sent, extents: Extents) -> int:
    """
    Count the bytes that are in extents.
    """
    gaps = extents.gaps(sent.start, sent.stop)
    return sent.stop - sent.start - sum(gap.length for gap in gaps)
