"""
What it takes to get chunks.
"""

import random

import attrs
from twisted.internet.interfaces import IReactorTime

from eliop2p.interfaces import IMembership
from eliop2p.p2p.announcements import Announcements
from eliop2p.p2p.attach import Standings
from eliop2p.p2p.counters import TransferCounters
from eliop2p.p2p.locating import Locator
from eliop2p.p2p.peer_gets import PeerGets
from eliop2p.p2p.selection import PeerScores


@attrs.frozen
class Means:
    """
    What all pursuits of a node share.

    Attributes:
        node_id: This node.
        membership: Who is alive.
        locator: The way to the homes.
        gets: Takes bytes from peers.
        scores: How peers have done.
        standings: Told how far this node is with each chunk.
        counters: Told what happens.
        announcements: Told which homes count this node among those that receive.
        clock: For pauses and time limits.
        rng: Spreads pauses and load.
        selection_k: How many of the peers that a home names are tried.
    """

    node_id: str
    membership: IMembership
    locator: Locator
    gets: PeerGets
    scores: PeerScores
    standings: Standings
    counters: TransferCounters
    announcements: Announcements
    clock: IReactorTime
    rng: random.Random
    selection_k: int
