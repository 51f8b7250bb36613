"""
What all pursuits of a node share.
"""

import random
from collections.abc import Container

import attrs
from twisted.internet.interfaces import IReactorTime

from eliop2p.interfaces import IMembership, IPeerSelector
from eliop2p.net.store_budget import StoreBudget
from eliop2p.p2p.announcements import Announcements
from eliop2p.p2p.attach import Standings
from eliop2p.p2p.counters import TransferCounters
from eliop2p.p2p.downlink import Downlink
from eliop2p.p2p.hedging import Hedges
from eliop2p.p2p.locating import Locator
from eliop2p.p2p.peer_gets import PeerGets
from eliop2p.p2p.precedence import Precedence
from eliop2p.p2p.selection import PeerScores
from eliop2p.p2p.store_pace import StorePace


@attrs.frozen
class Means:
    """
    The parts of a node that a pursuit works with.

    Attributes:
        node_id: This node.
        membership: Who is alive.
        locator: The way to the homes.
        gets: Takes bytes from peers.
        downlink: What is on its way to this node.
        precedence: Says what comes first on a slow link.
        store_pace: How long the store takes to begin.
        spared: Peers that are asked only for want of others.
        hedges: Says when a second peer is asked.
        scores: How peers have done.
        standings: Told how far this node is with each chunk.
        counters: Told what happens.
        announcements: Told which homes count this node among those that receive.
        clock: For pauses and time limits.
        rng: Spreads pauses and load.
        selection_k: How many of the peers that a home names are tried.
        selector: Says in which order.
        budget: What may be read of the store; more with a lease.
    """

    node_id: str
    membership: IMembership
    locator: Locator
    gets: PeerGets
    downlink: Downlink
    precedence: Precedence
    store_pace: StorePace
    spared: Container[str]
    hedges: Hedges
    scores: PeerScores
    standings: Standings
    counters: TransferCounters
    announcements: Announcements
    clock: IReactorTime
    rng: random.Random
    selection_k: int
    selector: IPeerSelector
    budget: StoreBudget
