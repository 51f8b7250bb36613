"""
What a node does for its peers when they ask.
"""

from collections import Counter
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from eliop2p.base.errors import PeerBehind, PeerBusy, PeerMissing
from eliop2p.interfaces import (
    IChunkReading,
    ILocalChunks,
    IPeerLinks,
    IPeerRequests,
    OneWay,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.model.tally import Tally
from eliop2p.p2p.attach import Standings, may_attach
from eliop2p.p2p.catalog import Catalog
from eliop2p.p2p.gossip_service import Gossip
from eliop2p.p2p.home import ChunkHome
from eliop2p.p2p.objects import ObjectHome
from eliop2p.p2p.open_upload import OpenUpload
from eliop2p.p2p.sentry import Sentry
from eliop2p.p2p.speed import Speed
from eliop2p.wire.cluster_events import (
    MAX_INLINED,
    AskHolders,
    AskTally,
    FindObject,
    ForgetObject,
    FoundObject,
    Inlined,
    ListedObjects,
    ListObjects,
    Probe,
    Probed,
    PublishObject,
    Rate,
    Rumour,
    ToldHolders,
    ToldTally,
)
from eliop2p.wire.events import (
    Get,
    Gone,
    Goodbye,
    Have,
    Leased,
    Locate,
    Located,
    Opened,
)

LEAST_SHARE = 8
"""
A node that sends as many chunks as it receives, and this many, has its share of the
work. It passes on every chunk once more, since nobody else may have it, but sends those
who come as second ones elsewhere.
"""


@implementer(IPeerRequests)
class PeerRequests:
    """
    Answers peers out of what this node has and, as a home, knows.

    Args:
        home: This node as a home of chunks.
        objects: This node as a home of objects.
        standings: How far this node is with chunks that it is getting.
        sentry: Told whom askers could not reach.
        speed: Tells whether this node is slow, and hears how fast others are.
        upload_slots: How many uploads may be under way; one peer gets half of them.

    Attributes:
        gossip: Answers probes; None while the node is only starting.
        catalog: Answers what this node knows of objects and chunks; likewise.
        tally: Tells what this node has done; likewise.
    """

    def __init__(
        self,
        home: ChunkHome,
        objects: ObjectHome,
        standings: Standings,
        sentry: Sentry,
        speed: Speed,
        *,
        upload_slots: int = 16,
    ) -> None:
        self.gossip: Gossip | None = None
        self.catalog: Catalog | None = None
        self.tally: Callable[[], Tally] | None = None
        self._home = home
        self._objects = objects
        self._standings = standings
        self._sentry = sentry
        self._speed = speed
        speed.watch(self._turn_away)
        self._arriving: dict[ChunkId, list[tuple[str, OpenUpload]]] = {}
        self._upload_slots = upload_slots
        self._chunks: ILocalChunks | None = None
        self._uploads: Counter[str | ChunkId] = Counter()
        self._children: Counter[str | ChunkId] = Counter()
        self._slots: dict[str, dict[Callable[[], None], bool]] = {}

    def connect(self, links: IPeerLinks) -> None:
        """
        Learn of the links, so that uploads to peers that take nothing any more keep
        nobody else from theirs.
        """

        def changed(node_id: str) -> None:
            if not links.reachable(node_id):
                for release in tuple(self._slots.get(node_id, ())):
                    release()

        links.watch(changed)

    def begin(self, chunks: ILocalChunks) -> None:
        """
        Upload chunks from now on.
        """
        self._chunks = chunks

    @property
    def uploads(self) -> int:
        """
        The number of uploads under way.
        """
        return sum(self._uploads.values())

    def locate(self, node_id: str, request: Locate) -> Located:
        """
        Answer as a home, or say who is one.
        """
        self._sentry.told(node_id, request.rejected)
        self._speed.met(node_id)
        return self._home.locate(node_id, request)

    def inlined(self, request: Locate) -> Inlined | None:
        """
        Answer with the chunk itself, when it is small and in memory.
        """
        if self._chunks is None or request.filled:
            return None
        held = self._chunks.small(request.chunk_id, MAX_INLINED)
        if held is None or not self._home.gave(request):
            return None
        data, digest = held
        return Inlined(request.request_id, digest, data)

    def find_object(self, node_id: str, request: FindObject) -> "Deferred[FoundObject]":
        """
        Answer as a home of objects, when there is an answer.
        """

        async def found() -> FoundObject:
            record = await self._objects.find(node_id, request.object_id)
            return FoundObject(request.request_id, record)

        return Deferred.fromCoroutine(found())

    def probe(self, node_id: str, request: Probe) -> "Deferred[Probed]":
        """
        Tell whether this node, or another one, is alive.

        Raises:
            PeerMissing: This node is only starting (in the Deferred).
        """
        if self.gossip is None:
            return fail(PeerMissing("this node is only starting"))
        return Deferred.fromCoroutine(self.gossip.probed(node_id, request))

    def list_objects(self, request: ListObjects) -> "Deferred[ListedObjects]":
        """
        Tell which objects this node remembers.

        Raises:
            PeerMissing: This node is only starting (in the Deferred).
        """
        if self.catalog is None:
            return fail(PeerMissing("this node is only starting"))
        return self.catalog.list_own(request)

    def ask_holders(self, request: AskHolders) -> ToldHolders:
        """
        Tell, as a home, who holds chunks.

        Raises:
            PeerMissing: This node is only starting.
        """
        if self.catalog is None:
            raise PeerMissing("this node is only starting")
        return self.catalog.tell_holders(request)

    def ask_tally(self, request: AskTally) -> ToldTally:
        """
        Tell what this node has served.

        Raises:
            PeerMissing: This node is only starting.
        """
        if self.tally is None:
            raise PeerMissing("this node is only starting")
        tally = self.tally()
        return ToldTally(request.request_id, tally.seconds, tally.served, tally.store)

    def told(self, node_id: str, message: OneWay) -> None:
        """
        Take a one-way message.
        """
        match message:
            case Have() | Gone() | Opened() | Leased():
                self._told_of_chunks(node_id, message)
            case PublishObject() | ForgetObject():
                self._told_of_object(node_id, message)
            case Rumour(updates) if self.gossip is not None:
                self.gossip.heard(updates)
            case Rate():
                self._speed.heard(node_id, message)
            case Goodbye():
                self._home.lost(node_id)
                self._objects.lost(node_id)

    def _told_of_chunks(
        self, node_id: str, message: Have | Gone | Opened | Leased
    ) -> None:
        match message:
            case Have(chunks):
                for chunk_id, digest in chunks:
                    self._home.have(node_id, chunk_id, digest)
            case Gone(chunk_ids):
                for chunk_id in chunk_ids:
                    self._home.gone(node_id, chunk_id)
            case Opened(counted):
                self._home.opened(counted)
            case Leased(chunk_id, reader):
                self._home.leased(chunk_id, reader)

    def _told_of_object(
        self, node_id: str, message: PublishObject | ForgetObject
    ) -> None:
        match message:
            case PublishObject(object_id, b""):
                self._objects.release(node_id, object_id)
            case PublishObject(object_id, record):
                self._objects.publish(node_id, object_id, record)
            case ForgetObject(object_id):
                self._objects.forget(object_id)

    def open(self, node_id: str, request: Get) -> "Deferred[IChunkReading]":
        """
        Open a chunk for upload; closing the reading frees the slot it takes.
        """
        return Deferred.fromCoroutine(self._open(node_id, request))

    def lost(self, node_id: str) -> None:
        """
        A peer broke off: what it was receiving, reading and learning has ended.
        """
        self._home.interrupted(node_id)
        self._objects.lost(node_id)

    async def _open(self, node_id: str, request: Get) -> IChunkReading:
        self._speed.met(node_id)
        release = self._take_slot(node_id, request.chunk_id)
        try:
            reading = await self._open_local(node_id, request)
        except BaseException:
            release()
            raise
        upload = OpenUpload(reading, release)
        upload.position = request.offset
        if reading.digest is None:
            watching = self._standings.watch(request.chunk_id, upload.stall)
            forgetting = self._note_arriving(request.chunk_id, node_id, upload)
            upload.at_end += watching, forgetting
        return upload

    def _note_arriving(
        self, chunk_id: ChunkId, node_id: str, upload: OpenUpload
    ) -> Callable[[], None]:
        """
        Remember an upload of a chunk that is arriving, until that is ended.
        """
        uploads = self._arriving.setdefault(chunk_id, [])
        uploads.append((node_id, upload))

        def end() -> None:
            uploads.remove((node_id, upload))
            if not uploads:
                del self._arriving[chunk_id]

        return end

    def _turn_away(self) -> None:
        """
        On a slow link, pass on only what is read from the store, and that to one fast
        node, the one that is furthest: others may get it from there.
        """
        if not self._speed.is_slow:
            return
        for chunk_id, uploads in tuple(self._arriving.items()):
            chosen = None
            if self._standings.of(chunk_id).reads_store:
                slow = self._speed.slow_nodes
                fast = (upload for node_id, upload in uploads if node_id not in slow)
                chosen = max(fast, key=lambda each: each.position, default=None)
            for _, upload in tuple(uploads):
                if upload is not chosen:
                    upload.turn_away()

    def _may_pass_on(self, chunk_id: ChunkId, node_id: str) -> bool:
        """
        Tell whether a chunk that is arriving here is passed on to a node.
        """
        if not self._speed.is_slow:
            return True
        reads = self._standings.of(chunk_id).reads_store
        taken = chunk_id in self._arriving or node_id in self._speed.slow_nodes
        return reads and not taken

    def _take_slot(self, node_id: str, chunk_id: ChunkId) -> Callable[[], None]:
        mine, uploads = self._uploads[node_id], self.uploads
        if uploads >= self._upload_slots or 2 * mine >= self._upload_slots:
            raise PeerBusy(f"{uploads} uploads are under way, {mine} to you")
        share = max(len(self._standings), LEAST_SHARE)
        crowded = uploads >= share or self._speed.is_slow
        if crowded and self._children[chunk_id]:
            raise PeerBusy(f"{uploads} uploads are under way, one of this chunk")
        return self._take(node_id, chunk_id)

    def _take(self, node_id: str, chunk_id: ChunkId) -> Callable[[], None]:
        taken = ((self._uploads, node_id), (self._children, chunk_id))
        for counts, name in taken:
            counts[name] += 1

        def release() -> None:
            held = self._slots.get(node_id, {})
            if not held.pop(release, False):
                return
            if not held:
                del self._slots[node_id]
            for counts, name in taken:
                counts[name] -= 1
                if not counts[name]:
                    del counts[name]

        self._slots.setdefault(node_id, {})[release] = True
        return release

    async def _open_local(self, node_id: str, request: Get) -> IChunkReading:
        if self._chunks is None:
            raise PeerMissing("this node is only starting")
        reading = await self._chunks.open_local(request.chunk_id)
        if reading is None:
            raise PeerMissing("the chunk is not here")
        passed_on = self._may_pass_on(request.chunk_id, node_id)
        if reading.digest is None and not passed_on:
            reading.close()
            raise PeerBusy("this node's link is slow")
        if not self._may_serve(reading, request):
            reading.close()
            raise PeerBehind("the chunk is arriving here, and not ahead")
        return reading

    def _may_serve(self, reading: IChunkReading, request: Get) -> bool:
        if reading.digest is not None:
            return request.offset <= reading.length
        standing = self._standings.of(request.chunk_id)
        if standing.reads_store:
            return request.offset < reading.length
        return may_attach(
            request.offset, request.ticket, reading.filled, standing.ticket
        )
