"""
What of a large object is taken from the store's answer to the client's own request.

Whoever reads an object first has the bytes of that answer at hand while everybody else,
and every further range, waits for the store for as long again. So a few chunks come
from it, one after the other. The others are left to the other nodes first: one node
that reads more of the store than its link carries holds up all who wait for its chunks.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
from twisted.internet.interfaces import IReactorTime

from eliop2p.interfaces import IOriginResponse
from eliop2p.model.chunk import MIB, Layout
from eliop2p.model.ranges import Interval
from eliop2p.proxy.body_stream import BodyStream
from eliop2p.proxy.origin_reads import ClientOrigin
from eliop2p.proxy.reading import AHEAD, BodyReader

STREAMED_BYTES = 160 * MIB
"""
Objects of up to so many bytes are read from the store in one answer. Of larger ones
only the first chunks are, and the rest in ranges side by side: what the store has sent
ahead when the answer is cut, some 3 MiB, is then less than 2% of the object.
"""

MOST_CARRIED = 4
"""
How many chunks of a large object come from one answer at most. Four of 8 MiB take 27 ms
of 10 Gbit/s, about what a store takes to answer.
"""

LONGEST_WAY = 0.05
"""
For how many seconds the chunks that the answer does not carry are left to others, at
most.
"""


def is_carried(layout: Layout) -> bool:
    """
    Tell whether one answer is to bring a whole object.
    """
    return layout.version.size <= STREAMED_BYTES


def carried_until(layout: Layout, part: Interval) -> int:
    """
    Tell where in a large object to stop reading from the answer: after no more of it
    than each of the ranges side by side will carry, so that it is not the last to end,
    and after one chunk where it begins within one.

    Args:
        layout: The object.
        part: What the answer carries.

    Returns:
        A position behind the first byte of the part.
    """
    indexes = layout.covering(part)
    count = 1
    if layout.chunk(indexes[0]).start == part.start:
        count = min(max(len(indexes) // (AHEAD + 1), 1), MOST_CARRIED)
    return min(layout.chunk(indexes[count - 1]).interval.stop, part.stop)


def gives_way_for(answered_after: float) -> float:
    """
    Tell for how many seconds the other chunks are left to others: who hears of the
    object now has to ask the store, too, whether its client may read.

    Args:
        answered_after: Seconds that the store took to answer.
    """
    return min(answered_after, LONGEST_WAY)


@attrs.frozen
class Opening:
    """
    How the chunks of a body are opened.

    Attributes:
        ahead: How many ahead of the client, at first.
        mixed: Mixes their order; None to open them in order.
        gives_way: After how many seconds as many are opened as may be, should it be
            fewer until then.
    """

    ahead: int = AHEAD
    mixed: random.Random | None = None
    gives_way: float = 0.0


def opening_of(layout: Layout, length: int, answered_after: float | None) -> Opening:
    """
    Tell how chunks are opened by who has the first answer: in order, so that one range
    can bring the rest when a signature ends.

    What one answer of the store brings is claimed at once: a chunk that another node
    read meanwhile would have left the store twice.

    Args:
        layout: The object.
        length: How many bytes the answer brings.
        answered_after: Seconds that the store took to answer; None when the answer
            brings all that is wanted.
    """
    if answered_after is None:
        claimed = min(length, STREAMED_BYTES) // layout.chunk_size
        return Opening(max(claimed, AHEAD))
    others = -(-length // layout.chunk_size) - 1
    return Opening(others, gives_way=gives_way_for(answered_after))


@contextmanager
def opened_wide(
    body: BodyReader, opening: Opening, clock: IReactorTime
) -> Iterator[None]:
    """
    Open as many chunks as may be in time, while a body is being sent.
    """
    if opening.ahead >= AHEAD:
        yield
        return
    call = clock.callLater(opening.gives_way, body.widen)
    try:
        yield
    finally:
        if call.active():
            call.cancel()


def use_answer(
    origin: ClientOrigin,
    response: IOriginResponse,
    layout: Layout,
    part: Interval,
    stop: int,
) -> None:
    """
    Take chunks from an answer.

    Args:
        origin: The right of the client whose request was answered.
        response: The answer.
        layout: The object.
        part: What the answer carries.
        stop: Where in the object to stop reading from it.
    """
    stream = BodyStream(response, part)
    if stop < part.stop:
        # Not from the start: with little ahead, a distant store is slow.
        stream.narrow_from(max(part.start, stop - layout.chunk_size))
    origin.attach(stream, stop)
    first = layout.chunk(layout.covering(part)[0])
    if first.start < part.start and first.interval.stop < stop:
        # It is read from its beginning, which is not in this answer.
        stream.skip(first)
