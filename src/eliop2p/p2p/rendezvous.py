"""
Which nodes are the homes of a name: weighted rendezvous hashing.

Every node computes the same order from the same members, without asking anyone. When a
node joins or leaves, only the names move that it gains or had.
"""

import hashlib
import math
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping

from eliop2p.model.peer import PeerInfo

RESERVE = 1
"""
How many nodes next in rank after the homes are asked, by those who see other members,
before the store is read.
"""

DEEPEST = 16
"""
How many nodes are looked at for homes that can be reached.
"""

_LANE = 128
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""
The constants of the splitmix64 finalizer, which spreads every bit over all 64.
"""


def _seed(node_id: str) -> int:
    digest = hashlib.blake2b(node_id.encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


class _Lanes:
    """
    Nodes of one weight, whose hashes with a name are computed all at once.

    One large integer holds each node's 64 bits in a lane of 128, so that a product with
    a 64-bit constant stays within its lane: a thousand nodes take a few operations on
    16 kB instead of a thousand turns of a loop.
    """

    def __init__(self, node_ids: list[str]) -> None:
        self._node_ids = node_ids
        self._ones = sum(1 << (_LANE * lane) for lane in range(len(node_ids)))
        self._seeds = sum(
            _seed(node_id) << (_LANE * lane) for lane, node_id in enumerate(node_ids)
        )
        self._low = {bits: self._ones * ((1 << bits) - 1) for bits in (64, 34, 37, 33)}
        self._layout = struct.Struct(f"<{2 * len(node_ids)}Q")

    def best(self, name: int, count: int) -> list[tuple[int, str]]:
        """
        Give the highest hashes with their nodes, highest first.
        """
        hashes = self._hashes(name)
        found = []
        for _ in range(min(count, len(hashes))):
            highest = max(hashes)
            lane = hashes.index(highest)
            found.append((highest, self._node_ids[lane]))
            hashes[lane] = -1
        return found

    def _hashes(self, name: int) -> list[int]:
        low = self._low
        mixed = self._seeds ^ (self._ones * name)
        mixed = ((mixed ^ ((mixed >> 30) & low[34])) * _FIRST) & low[64]
        mixed = ((mixed ^ ((mixed >> 27) & low[37])) * _SECOND) & low[64]
        mixed ^= (mixed >> 31) & low[33]
        data = mixed.to_bytes(self._layout.size, "little")
        return list(self._layout.unpack(data)[::2])


class Ranking:
    """
    The order of the nodes for any name, for one set of members.

    A node's score is -weight / ln(hash), with the hash in (0, 1). Within one weight the
    order of the scores is that of the hashes, so only the best few need a logarithm. A
    node whose weight is not positive and finite ranks nowhere.

    Args:
        peers: The members by node id.
    """

    def __init__(self, peers: Mapping[str, PeerInfo]) -> None:
        groups: dict[float, list[str]] = {}
        for node_id in sorted(peers):
            weight = peers[node_id].weight
            if 0 < weight < math.inf:
                groups.setdefault(weight, []).append(node_id)
        self._groups = [(weight, _Lanes(nodes)) for weight, nodes in groups.items()]

    def top(self, name: bytes, count: int) -> tuple[str, ...]:
        """
        Give the first nodes for a name.

        Args:
            name: A chunk id or object id: at least 8 bytes of a cryptographic hash.
            count: How many nodes to give at most.
        """
        number = int.from_bytes(name[:8], "big")
        scored = [
            (-weight / math.log(((hashed >> 12) + 0.5) / (1 << 52)), node_id)
            for weight, lanes in self._groups
            for hashed, node_id in lanes.best(number, count)
        ]
        scored.sort(key=lambda pair: (-pair[0], pair[1]))
        return tuple(node_id for _, node_id in scored[:count])


def ranked(name: bytes, peers: Mapping[str, PeerInfo], count: int) -> tuple[str, ...]:
    """
    Give the first nodes for a name; :class:`Ranking` is faster for many names.
    """
    return Ranking(peers).top(name, count)


class Homes:
    """
    The homes of names among the present members, remembered while these stay.

    Args:
        replicas: How many homes a name has.
        remembered: For how many names at most the answer is kept.
    """

    def __init__(self, replicas: int = 2, remembered: int = 65_536) -> None:
        self.replicas = replicas
        self._remembered = remembered
        self._peers: Mapping[str, PeerInfo] = {}
        self._ranking = Ranking({})
        self._known: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()
        self._deep: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    def of(self, name: bytes, peers: Mapping[str, PeerInfo]) -> tuple[str, ...]:
        """
        Give the homes of a name, first home first; all members when they are few.

        Args:
            name: A chunk id or object id.
            peers: The members; the same mapping, unchanged, until they change.
        """
        return self.ranked(name, peers)[: self.replicas]

    def ranked(self, name: bytes, peers: Mapping[str, PeerInfo]) -> tuple[str, ...]:
        """
        Give the homes of a name, and the :data:`RESERVE` nodes after them.
        """
        self._renew(peers)
        return self._look(self._known, name, self.replicas + RESERVE)

    def reachable(
        self,
        name: bytes,
        peers: Mapping[str, PeerInfo],
        reachable: Callable[[str], bool],
    ) -> tuple[str, ...]:
        """
        Give the homes of a name, and the :data:`RESERVE` nodes after them, without the
        members that cannot be reached: those who see the same of them unreachable agree
        on who stands in for a home.

        Args:
            name: A chunk id or object id.
            peers: The members; the same mapping, unchanged, until they change.
            reachable: Tells whether a member can be.
        """
        ranked = self.ranked(name, peers)
        if all(map(reachable, ranked)):
            return ranked
        deep = self._look(self._deep, name, DEEPEST)
        return tuple(filter(reachable, deep))[: len(ranked)]

    def _renew(self, peers: Mapping[str, PeerInfo]) -> None:
        if peers is not self._peers:
            self._peers, self._ranking = peers, Ranking(peers)
            self._known.clear()
            self._deep.clear()

    def _look(
        self, known: OrderedDict[bytes, tuple[str, ...]], name: bytes, count: int
    ) -> tuple[str, ...]:
        homes = known.get(name)
        if homes is None:
            homes = known[name] = self._ranking.top(name, count)
            if len(known) > self._remembered:
                known.popitem(last=False)
        else:
            known.move_to_end(name)
        return homes
