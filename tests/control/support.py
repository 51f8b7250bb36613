"""
Doubles and builders for the tests of the control plane.
"""

from collections.abc import Callable
from typing import TypeVar

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from zope.interface import implementer

from eliop2p.base.secret import Secret
from eliop2p.control.database import Database
from eliop2p.control.journal import Journal
from eliop2p.control.metrics import ControlMetrics
from eliop2p.control.registry import Registry
from eliop2p.control.server import ControlResource
from eliop2p.control.site import ControlSite
from eliop2p.control.tokens import Guard, read_token
from eliop2p.interfaces import IWorker
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import PeerInfo

_T = TypeVar("_T")

TIMEOUT = 10.0


@implementer(IWorker)
class StepWorker:
    """
    A worker that works at once, or when told to.

    Attributes:
        held: Whether calls wait for :meth:`step`.
        waiting: The calls that wait.
    """

    def __init__(self) -> None:
        self.held = False
        self.waiting: list[Callable[[], None]] = []

    def run(self, function: Callable[..., _T], *args: object) -> Deferred[_T]:
        """
        See :meth:`.IWorker.run`.
        """
        if not self.held:
            return execute(function, *args)
        result = Deferred[_T]()

        def work() -> None:
            execute(function, *args).chainDeferred(result)

        self.waiting.append(work)
        return result

    def step(self) -> None:
        """
        Do what has waited longest.
        """
        self.waiting.pop(0)()


def node(
    node_id: str = "node-1",
    *,
    host: str = "10.0.0.1",
    port: int = 9000,
    zone: str = "",
) -> PeerInfo:
    """
    Make a node.
    """
    return PeerInfo(node_id, host, port, 8080, zone)


def chunk_id(number: int) -> ChunkId:
    """
    Name a chunk.
    """
    return ChunkId(number.to_bytes(32, "big"))


class Server:
    """
    A control plane's parts on a Clock, from resource to database in memory.
    """

    def __init__(self, token: str = "", admin: str = "", max_nodes: int = 100) -> None:
        self.clock = Clock()
        self.worker = StepWorker()
        self.registry = Registry(TIMEOUT, 1, max_nodes)
        self.database = Database(":memory:")
        self.journal = Journal(self.registry, self.database, self.worker, self.clock)
        self.metrics = ControlMetrics(self.registry)
        guard = Guard(
            read_token(Secret(token) if token else None),
            read_token(Secret(admin) if admin else None),
            self.clock.seconds,
        )
        self.resource = ControlResource(
            self.registry, self.journal, guard, self.metrics, self.clock
        )
        self.site = ControlSite(self.resource, guard, self.metrics, self.clock)
        self.agent = RequestTraversalAgent(self.resource)
