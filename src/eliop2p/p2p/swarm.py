"""
The parts of a node that take part in the swarm, put together.
"""

import random
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime

from eliop2p.interfaces import (
    ILocalChunks,
    IMembership,
    IPeerLinks,
    IPeerRequests,
    IRecordStore,
)
from eliop2p.model.peer import Membership, PeerInfo
from eliop2p.model.tally import Tally
from eliop2p.net.store_budget import StoreBudget
from eliop2p.p2p.attach import Standings
from eliop2p.p2p.catalog import Catalog
from eliop2p.p2p.directory import Directory
from eliop2p.p2p.downlink import Downlink
from eliop2p.p2p.gossip import Beliefs
from eliop2p.p2p.gossip_service import Gossip, GossipedMembers
from eliop2p.p2p.home import ChunkHome
from eliop2p.p2p.object_table import ObjectTable
from eliop2p.p2p.objects import ObjectDirectory, ObjectHome
from eliop2p.p2p.rendezvous import Homes
from eliop2p.p2p.requests import PeerRequests
from eliop2p.p2p.selectors import find_selector
from eliop2p.p2p.sentry import Sentry, Spared
from eliop2p.p2p.speed import Speed
from eliop2p.p2p.tallies import Tallies
from eliop2p.p2p.transfer_manager import TransferManager


class Swarm:
    """
    Wires what peers ask of this node with what it asks of them.

    Args:
        node_id: This node.
        membership: Who is alive.
        make_links: Makes the links, given what answers the peers.
        clock: The time.
        rng: Randomness that nobody's safety depends on.
        selection_k: How many peers are tried for a chunk before its home is asked
            again, and named by this node as a home.
        upload_slots: How many uploads may be under way.
        selection: Name of the policy that says in which order peers are tried.
        budget: What may be read of the store; everything when not given.

    Attributes:
        requests: Answers the peers.
        links: The way to the peers.
        directory: What this node knows as a home.
        transfers: Gets chunks, and tells of those that are here.
        objects: Asks for objects' records, and tells them.
        speed: Tells whether this node is slow, and which peers are.

    Raises:
        StartError: There is no such policy.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        make_links: Callable[[IPeerRequests], IPeerLinks],
        *,
        clock: IReactorTime,
        rng: random.Random,
        selection_k: int = 5,
        upload_slots: int = 16,
        selection: str = "fastest",
        budget: StoreBudget | None = None,
    ) -> None:
        budget = budget or StoreBudget(clock)
        homes, standings = Homes(), Standings()
        asks = random.Random(f"speed {node_id}")  # noqa: S311  # Nobody's safety depends on it.
        self.speed = speed = Speed(node_id, membership, clock=clock, rng=asks)
        downlink = Downlink(clock, speed)
        sentry = Sentry(
            node_id,
            membership,
            clock=clock,
            delay=downlink.delay,
            slow=speed.slow_nodes,
        )
        spared = Spared(speed.slow_nodes, sentry.silent)
        self._standings = standings
        self._node_id, self._membership, self._homes = node_id, membership, homes
        self.directory = Directory(rng.getrandbits(31), selection_k)
        home = ChunkHome(
            node_id,
            membership,
            homes,
            directory=self.directory,
            clock=clock,
            budget=budget,
            spared=spared,
        )
        self._home = home
        self._object_home = ObjectHome(ObjectTable(), clock)
        self.requests = PeerRequests(
            home,
            self._object_home,
            standings,
            sentry,
            speed,
            upload_slots=upload_slots,
        )
        self.links = make_links(self.requests)
        home.connect(self.links)
        speed.connect(self.links)
        sentry.connect(self.links)
        self.requests.connect(self.links)
        self.transfers = TransferManager(
            node_id,
            membership,
            homes,
            links=self.links,
            home=home,
            standings=standings,
            clock=clock,
            rng=rng,
            selection_k=selection_k,
            selector=find_selector(selection),
            budget=budget,
            speed=speed,
            downlink=downlink,
            sentry=sentry,
            spared=spared,
        )
        self._budget = budget
        self._divide(membership.current())
        membership.watch(self._divide)
        self.objects = ObjectDirectory(
            node_id, membership, homes, links=self.links, home=self._object_home
        )

    @property
    def standings(self) -> int:
        """
        The number of chunks that are being got.
        """
        return len(self._standings)

    @property
    def attached(self) -> int:
        """
        The number of peers that get a chunk from here while it is arriving.
        """
        return self._standings.attached

    @property
    def waiting(self) -> int:
        """
        The number of askers that wait for an object's record.
        """
        return self._object_home.waiting

    def _divide(self, membership: Membership) -> None:
        weights = {peer.node_id: peer.weight for peer in membership.peers.values()}
        self._budget.divide(self._node_id, weights)

    def begin(self, chunks: ILocalChunks) -> None:
        """
        Upload what this node has, and tell its homes.
        """
        self.requests.begin(chunks)
        self.transfers.begin(chunks)

    def make_catalog(self, records: IRecordStore) -> Catalog:
        """
        Tell peers what this node remembers of objects, and ask them.
        """
        self.requests.catalog = Catalog(
            self._node_id,
            self._membership,
            self._homes,
            links=self.links,
            home=self._home,
            records=records,
        )
        return self.requests.catalog

    def make_tallies(self, own: Callable[[], Tally], clock: IReactorTime) -> Tallies:
        """
        Tell peers what this node has served, and ask them.
        """
        self.requests.tally = own
        return Tallies(
            self._node_id,
            self._membership,
            links=self.links,
            own=own,
            clock=clock,
        )

    def stop(self) -> None:
        """
        Announce nothing more, and let nobody wait.
        """
        self.transfers.stop()
        self._object_home.stop()


def make_gossip(
    me: PeerInfo,
    swarm: Swarm,
    table: IMembership,
    *,
    clock: IReactorTime,
    rng: random.Random,
    seeds: Sequence[tuple[str, int]],
) -> tuple[Gossip, GossipedMembers]:
    """
    Let a node gossip.

    Args:
        me: The node.
        swarm: Its part in the swarm, which is told to answer probes.
        table: Its table of members.
        clock: The time, in seconds since 1970.
        rng: Spreads what is done over time.
        seeds: Addresses of members to begin with.

    Returns:
        What gossips, and the table for the control plane to update.
    """
    # A later life of a node counts for more than an earlier one.
    beliefs = Beliefs(me, int(clock.seconds() * 1000))
    members = GossipedMembers(table)
    gossip = Gossip(
        beliefs, swarm.links, clock=clock, rng=rng, changed=members.changed, seeds=seeds
    )
    members.gossip = swarm.requests.gossip = gossip
    return gossip, members
