"""
How bytes travel in a simulated network: when they arrive, and when they do not.
"""

import math
import random
from collections import deque
from collections.abc import Callable

import attrs

from eliop2p.testing.simclock import Agenda, Event

SPARSE = 512
"""
Packets up to this many bytes do not queue behind others, as those of sparse flows do
not with Linux's fair queueing.
"""

RESENT_AFTER = 0.2
"""
Seconds until TCP sends a lost packet again, as Linux's smallest timeout has it.
"""


@attrs.define(eq=False)
class Lane:
    """
    One direction of a host's link: first come, first served.

    Attributes:
        rate: Bytes per second.
    """

    rate: float = math.inf
    _free_at: float = 0.0

    def pass_through(self, now: float, size: float) -> float:
        """
        Take bytes that come now, and tell when the last of them is through.
        """
        seconds = size / self.rate
        self._free_at = max(now, self._free_at) + seconds
        return now + seconds if size <= SPARSE else self._free_at

    def flow_through(self, now: float, size: float) -> float:
        """
        Take bytes of which the last comes now and the others came before, as small
        packets, and tell when the last of them is through.
        """
        self._free_at = max(now, self._free_at + size / self.rate)
        return now if size <= SPARSE else self._free_at


@attrs.define(eq=False)
class Link:
    """
    A host's link to the network.

    Attributes:
        address: The host's address.
        up: What it sends passes here.
        down: What it receives passes here.
        silent: Whether all that passes vanishes.
    """

    address: str
    up: Lane = attrs.Factory(Lane)
    down: Lane = attrs.Factory(Lane)
    silent: bool = False


class Fabric:
    """
    What all links are attached to.

    Each packet takes between half and one and a half times the latency. While two
    links are cut from each other, packets between them wait, as TCP would repeat them
    until they get through; what TCP does not repeat is dropped.

    Args:
        agenda: When things happen.
        rng: Chance.
        latency: Mean seconds from one link to another.

    Attributes:
        loss: The probability that a packet is lost; TCP sends it again
            :data:`RESENT_AFTER` seconds later.
        scale: What the rates of links, and the sizes of all but small packets, are
            divided by; small ones are on a link for as long as if they were, too.
    """

    def __init__(self, agenda: Agenda, rng: random.Random, latency: float) -> None:
        if latency <= 0:
            raise ValueError("a network without latency never lets time pass")
        self.agenda = agenda
        self.rng = rng
        self.loss = 0.0
        self.scale = 1
        self._latency = latency
        self._cuts: dict[tuple[str, str], list[Event]] = {}
        self._sides: dict[str, int] = {}
        self._between: list[Event] = []

    def cut(self, one: str, other: str) -> None:
        """
        Let nothing through between two addresses any more.
        """
        self._cuts.setdefault(_pair(one, other), [])

    def heal(self, one: str, other: str) -> None:
        """
        Let through what has been waiting, and what comes.
        """
        for event in self._cuts.pop(_pair(one, other), ()):
            self.agenda.soon(event)

    def split(self, sides: dict[str, int]) -> None:
        """
        Let nothing through between addresses on different sides; an address that is
        not listed is on all of them. :meth:`join` undoes it.
        """
        self._sides = sides

    def join(self) -> None:
        """
        Let through what has been waiting between the sides, and what comes.
        """
        self._sides = {}
        waiting, self._between = self._between, []
        for event in waiting:
            self.agenda.soon(event)

    def carry(
        self,
        source: Link,
        target: Link,
        size: int,
        arrived: Event,
        *,
        repeated: bool = True,
    ) -> None:
        """
        Let a packet travel.

        Packets between the same two links may overtake each other.

        Args:
            source: Where it comes from.
            target: Where it goes.
            size: Its length in bytes.
            arrived: Told when it has arrived.
            repeated: Whether it waits for a cut to heal.
        """
        if source.silent:
            return
        weight = size / self.scale if size <= SPARSE else size
        left = self.agenda.now
        if source is not target:
            left = source.up.pass_through(left, weight)

        def reach() -> None:
            waiting = self._waiting(source.address, target.address)
            if target.silent:
                return
            if waiting is None:
                self._receive(source, target, weight, arrived)
            elif repeated:
                waiting.append(reach)

        left += self._latency * self.rng.uniform(0.5, 1.5)
        if self.loss and self.rng.random() < self.loss:
            left += RESENT_AFTER
        self.agenda.at(left, reach)

    def _waiting(self, one: str, other: str) -> list[Event] | None:
        """
        Give what waits between two addresses; None when nothing has to.
        """
        if self._cuts and (cut := self._cuts.get(_pair(one, other))) is not None:
            return cut
        side = self._sides.get(one) if self._sides else None
        if side is None or self._sides.get(other, side) == side:
            return None
        return self._between

    def _receive(self, source: Link, target: Link, size: float, arrived: Event) -> None:
        now = self.agenda.now
        through = now if source is target else target.down.flow_through(now, size)
        if through > now:
            self.agenda.at(through, arrived)
        else:
            arrived()


class Way:
    """
    One direction of a connection: packets arrive in the order in which they were sent.

    Args:
        fabric: What they travel on.
        source: Where they come from.
        target: Where they go.
        receive: Given each packet; None is the one after the last.
    """

    def __init__(
        self,
        fabric: Fabric,
        source: Link,
        target: Link,
        receive: Callable[[bytes | None], None],
    ) -> None:
        self._fabric = fabric
        self._source = source
        self._target = target
        self._receive = receive
        self._packets: deque[bytes | None] = deque()

    def send(self, packet: bytes | None) -> None:
        """
        Send a packet after those before it.
        """
        self._packets.append(packet)
        size = len(packet or b"")
        self._fabric.carry(self._source, self._target, size, self._arrived)

    def tell(self, event: Event) -> None:
        """
        Let something without a place in the order happen at the other end; it may
        overtake packets, and is lost in a cut.
        """
        self._fabric.carry(self._source, self._target, 0, event, repeated=False)

    def _arrived(self) -> None:
        # Whichever it was that got through first: what is delivered is in order.
        self._receive(self._packets.popleft())


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)
