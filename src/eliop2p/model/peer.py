"""
The members of a cluster.
"""

import attrs


@attrs.frozen
class PeerInfo:
    """
    What every member knows of a member.

    Attributes:
        node_id: Its name, unique in the cluster.
        host: Where it can be reached.
        port: Its P2P port.
        proxy_port: Its HTTP proxy port, for people.
        zone: Where it stands, empty when nobody said.
        weight: Its share of the homes, relative to the others'.
    """

    node_id: str
    host: str
    port: int
    proxy_port: int = 0
    zone: str = ""
    weight: float = 1.0


_SEED = "seed "
"""
What the name of a node never begins with.
"""


def seed_peer(host: str, port: int) -> PeerInfo:
    """
    Make what stands for whoever is at an address.
    """
    return PeerInfo(f"{_SEED}{host}:{port}", host, port)


def is_seed(peer: PeerInfo) -> bool:
    """
    Tell whether only the address of a peer is known.
    """
    return peer.node_id.startswith(_SEED)


@attrs.frozen
class Membership:
    """
    The live members at one moment.

    Attributes:
        version: Grows with every change, as far as its source can tell.
        peers: The members by node id; the node itself is among them.
    """

    version: int
    peers: dict[str, PeerInfo]


def neighbours(membership: Membership, node_id: str) -> frozenset[str]:
    """
    Name the members in the zone of one; all of them where it names none.
    """
    me = membership.peers.get(node_id)
    zone = "" if me is None else me.zone
    return frozenset(
        name for name, peer in membership.peers.items() if zone in ("", peer.zone)
    )


@attrs.frozen
class PeerStanding:
    """
    How a peer has done of late.

    Attributes:
        node_id: Which one.
        rate: Bytes per second, 0 while unknown.
        latency: Seconds to the first byte, 0 while unknown.
        failures: Recent failures; each counts half after 30 s.
        in_flight: Requests that it has not finished.
        offences: How often its bytes were corrupt.
        banned_for: Seconds for which it is not asked.
    """

    node_id: str
    rate: float
    latency: float
    failures: float
    in_flight: int
    offences: int
    banned_for: float
