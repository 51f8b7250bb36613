"""
Gossip among many nodes on one clock, message by message, without the connections.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from eliop2p.base.errors import PeerUnreachable
from eliop2p.interfaces import IPeerLinks, IPieceTaker, OneWay
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.gossip import Beliefs
from eliop2p.p2p.gossip_service import Gossip
from eliop2p.testing.simclock import SimClock, let_pass
from eliop2p.wire.cluster_events import Probe, Probed, Rumour
from eliop2p.wire.events import Done, Get
from eliop2p.wire.rules import Question


@attrs.frozen
class Weather:
    """
    How the network is.

    Attributes:
        latency: Seconds from one node to another.
        stalled: The part of all messages that are held up.
        stall: How long these are, from the least to the most seconds.
    """

    latency: float = 0.002
    stalled: float = 0.0
    stall: tuple[float, float] = (1.0, 3.0)


class Town:
    """
    So many nodes that gossip.

    Args:
        size: How many.
        seed: Decides all that chance decides.
        weather: How the network is.

    Attributes:
        clock: The time.
        nodes: The nodes' gossip by name.
        alive: The names of the nodes that run.
        late: The names of those that are heard of, but answer too late.
        messages: How many messages were sent.
        removed: When each node removed another from its members, as (when, who, whom).
    """

    def __init__(self, size: int, seed: int, weather: Weather) -> None:
        self.clock = SimClock()
        self.rng = random.Random(seed)  # noqa: S311  Simulated.
        self.weather = weather
        self.messages = 0
        self.removed: list[tuple[float, str, str]] = []
        self.cut: Callable[[str, str], bool] = lambda _one, _other: False
        self.peers = [
            PeerInfo(f"node-{index:04}", f"10.0.{index // 250}.{index % 250}", 9000)
            for index in range(size)
        ]
        self.nodes = {peer.node_id: self._make(peer) for peer in self.peers}
        self.alive = set(self.nodes)
        self.late: set[str] = set()

    def start(self) -> None:
        """
        Let every node know of all others, as a control plane would, and begin.
        """
        for gossip in self.nodes.values():
            gossip.beliefs.introduce(self.peers, 0.0)
            gossip.startService()

    def kill(self, node_id: str) -> None:
        """
        Take a node away without a word.
        """
        self.alive.discard(node_id)

    def restart(self, node_id: str) -> None:
        """
        Start a node anew that was taken away; it remembers the others.
        """
        self.nodes[node_id].stopService()
        (peer,) = (each for each in self.peers if each.node_id == node_id)
        gossip = self.nodes[node_id] = self._make(peer, incarnation=2)
        self.alive.add(node_id)
        gossip.beliefs.introduce(self.peers, self.clock.seconds())
        gossip.startService()

    def know(self, node_id: str) -> int:
        """
        Tell of how many others that run a node is a member.
        """
        others = (self.nodes[each] for each in self.alive if each != node_id)
        return sum(node_id in gossip.beliefs.live for gossip in others)

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass.
        """
        let_pass(self.clock, seconds)

    def delay(self) -> float:
        """
        Draw the time that a message takes.
        """
        weather = self.weather
        late = self.rng.random() < weather.stalled
        return weather.latency + (self.rng.uniform(*weather.stall) if late else 0.0)

    def reaches(self, one: str, other: str) -> bool:
        """
        Tell whether messages pass between two nodes at the moment.
        """
        return {one, other} <= self.alive and not self.cut(one, other)

    def _make(self, peer: PeerInfo, incarnation: int = 1) -> Gossip:
        known = dict.fromkeys((peer.node_id,))

        def changed(live: dict[str, PeerInfo]) -> None:
            now = self.clock.seconds()
            for gone in known.keys() - live.keys():
                self.removed.append((now, peer.node_id, gone))
            known.clear()
            known.update(dict.fromkeys(live))

        return Gossip(
            Beliefs(peer, incarnation),
            _Links(self, peer.node_id),
            clock=self.clock,
            rng=random.Random(f"{peer.node_id} {self.rng.random()}"),  # noqa: S311
            changed=changed,
        )


@implementer(IPeerLinks)
class _Links:
    """
    The way from one node to all others.
    """

    def __init__(self, town: Town, node_id: str) -> None:
        self._town = town
        self._node_id = node_id
        self._heard: dict[str, float] = {}

    def ask(self, peer: PeerInfo, request: Question) -> Deferred[Any]:
        """
        Carry a probe there and its answer back.
        """
        assert isinstance(request, Probe)
        town, other = self._town, peer.node_id
        answered: Deferred[Any] = Deferred(lambda _: None)
        town.messages += 2

        def arrived() -> None:
            if town.reaches(self._node_id, other):
                gossip = town.nodes[other]
                asking = Deferred.fromCoroutine(gossip.probed(self._node_id, request))
                asking.addCallback(reply)

        def reply(answer: Probed) -> None:
            town.clock.callLater(town.delay(), back, answer)

        def back(answer: Probed) -> None:
            if not town.reaches(self._node_id, other):
                return
            self._heard[other] = town.clock.seconds()
            if other not in town.late and not answered.called:
                answered.callback(answer)

        town.clock.callLater(town.delay(), arrived)
        return answered

    def tell(self, peer: PeerInfo, message: OneWay) -> None:
        """
        Carry a rumour.
        """
        assert isinstance(message, Rumour)
        town, other = self._town, peer.node_id
        town.messages += 1

        def arrived() -> None:
            if town.reaches(self._node_id, other):
                town.nodes[other].heard(message.updates)

        town.clock.callLater(town.delay(), arrived)

    def get(
        self,
        peer: PeerInfo,
        request: Get,  # noqa: ARG002
        taker: IPieceTaker,  # noqa: ARG002
    ) -> Deferred[Done]:
        """
        Give nothing.
        """
        return fail(PeerUnreachable(f"{peer.node_id} only gossips"))

    def reachable(self, node_id: str) -> bool:  # noqa: ARG002
        """
        Let everybody be tried.
        """
        return True

    def silence(self, node_id: str) -> float:
        """
        Tell when the last answer came.
        """
        return self._town.clock.seconds() - self._heard.get(node_id, -math.inf)

    def starved(self, node_id: str) -> bool:  # noqa: ARG002
        """
        Never.
        """
        return False

    def held_back(self) -> bool:
        """
        Never.
        """
        return False

    def probe(self, peer: PeerInfo) -> None:
        """
        Ask nobody: nothing is waited for.
        """

    def doubt(self, node_id: str) -> None:
        """
        Doubt nobody.
        """

    def watch(self, changed: Callable[[str], None]) -> None:
        """
        Everybody can be reached at all times.
        """

    def welcome(self, node_id: str) -> None:
        """
        Nobody has been doubted.
        """
