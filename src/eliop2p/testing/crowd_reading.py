"""
How a node of a crowd sends an object to its client; the one that asks the store first,
with the code that the proxy has for that answer.
"""

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import IBodySender, IChunkOrigin
from eliop2p.model.chunk import Layout
from eliop2p.model.ranges import Interval, range_header
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.first_answer import (
    STREAMED_BYTES,
    Opening,
    carried_until,
    opened_wide,
    opening_of,
    use_answer,
)
from eliop2p.proxy.origin_reads import ClientOrigin
from eliop2p.proxy.reading import BodyReader
from eliop2p.testing.simanswer import SimStore


@attrs.frozen
class Right:
    """
    What a client's request allows, and how chunks are opened with it.

    Attributes:
        origin: The right to read the store.
        opening: How chunks are opened.
        begun: Called when there are bytes.
        ended: Called when the client needs nothing more.
    """

    origin: IChunkOrigin
    opening: Opening
    begun: Callable[[], None] | None = None
    ended: Callable[[], None] | None = None

    async def send(
        self, body: BodyReader, part: Interval, sender: IBodySender, clock: IReactorTime
    ) -> None:
        """
        Send a body.
        """
        exchange = Exchange(
            RequestHead(b"GET", b"/", ()),
            None,
            "",
            sender=sender,
            keep_alive=True,
            seconds=clock.seconds,
        )

        def begin() -> None:
            if self.begun is not None:
                self.begun()
            exchange.begin(ResponseHead(200, b"OK", ()))

        try:
            with opened_wide(body, self.opening, clock):
                await body.send(exchange, part, begin)
        finally:
            if self.ended is not None:
                self.ended()


async def first_right(
    store: SimStore,
    layout: Layout,
    part: Interval,
    tell: Callable[[], None],
    *,
    scale: int,
) -> Right:
    """
    Ask the store for an object, as the first of all.

    Args:
        store: The store.
        layout: The object.
        part: What is wanted of it.
        tell: Tells the others of the object.
        scale: What its size is divided by.
    """
    clock = store.clock
    began = clock.seconds()
    head = RequestHead(b"GET", b"/", ((b"Range", range_header(part)),))
    response = await store.request(head, None, None)
    origin = ClientOrigin(store, head, layout.version, None, lambda: True)
    carried = layout.version.size * scale <= STREAMED_BYTES
    stop = part.stop if carried else carried_until(layout, part)
    use_answer(origin, response, layout, part, stop)
    after = None if carried else clock.seconds() - began
    opening = opening_of(layout, stop - part.start, after)
    if carried:
        tell()
    return Right(origin, opening, None if carried else tell, origin.release)
