"""
A node whose answers are prepared, and clients of it.
"""

from pathlib import Path

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.metrics import Metrics
from eliop2p.http1.dates import http_date
from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.testing.cluster import (
    CLIENTS,
    PROXY_PORT,
    Cluster,
    Plan,
)
from eliop2p.testing.simclient import Answer
from eliop2p.testing.simstore import Asked, SimStore

PATH = b"/bucket/key"
DATA = bytes(range(256)) * 100
LARGE = bytes(range(251)) * 3000
OPEN = {"proxy.auth": "open", "proxy.freshness_seconds": "3600"}


class DatedStore(SimStore):
    """
    A store that says when it answers.
    """

    def ask(self, head: RequestHead, body: bytes) -> tuple[Asked, ResponseHead]:
        """
        Answer with a date.
        """
        asked, answer = super().ask(head, body)
        return asked, answer.adding((b"Date", http_date(self._clock.seconds())))


class Client(Protocol):
    """
    A client that keeps its connection.
    """

    heard = b""
    gone = False

    def dataReceived(self, data: bytes) -> None:
        """
        Keep what comes.
        """
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        """
        Note it.
        """
        self.gone = True


def counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    """
    Give all values that count something.
    """
    return {
        (sample.name, str(sorted(sample.labels.items()))): sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.name.endswith(("_total", "_count", "_bucket"))
        and "peer" not in sample.name
    }


class PreparedCase(SynchronousTestCase):
    """
    One node, and an object that it holds.
    """

    flags = OPEN
    disk = 0

    def setUp(self) -> None:
        """
        Start the node and read the object often enough.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        plan = Plan(
            nodes=1, seed=7, chunk_size=1024 * 1024, disk=self.disk, flags=self.flags
        )
        self.cluster = Cluster(directory, plan)
        self.cluster.stop_store()
        self.cluster.store = DatedStore(self.cluster.clock)
        self.cluster.start_store()
        self.cluster.start()
        self.addCleanup(self.cluster.stop)
        self.member = self.cluster.members[0]
        self.node = self.member.running
        self.cluster.store.put(PATH, DATA)
        self.warm()

    def read(self, *headers: Header, path: bytes = PATH, pause: float = 0.0) -> Answer:
        """
        Read through the node.
        """
        return self.cluster.wait(
            self.cluster.get(self.member, path, *headers, pause=pause)
        )

    def warm(self, *headers: Header, path: bytes = PATH) -> None:
        """
        Read until nothing new is to be found out.
        """
        self.read(*headers, path=path)
        self.cluster.pass_time(5.0)
        for _ in range(2):
            self.read(*headers, path=path)

    def given(self) -> int:
        """
        Tell how many answers were given without thought since the last call.
        """
        last, self._last = getattr(self, "_last", 0), self.node.prepared.given
        return self._last - last

    def connect(self) -> Client:
        """
        Make a connection that is kept.
        """
        client = Client()
        factory = Factory.forProtocol(lambda: client)
        factory.noisy = False
        network = self.cluster.network.host(CLIENTS)
        self.cluster.wait(
            network.connect(self.member.address, PROXY_PORT, factory, 5.0, False)
        )
        return client

    def say(self, client: Client, *heads: RequestHead) -> bytes:
        """
        Send requests in one piece, and give what comes within a second.
        """
        assert client.transport is not None
        client.transport.write(b"".join(head.serialize() for head in heads))
        self.cluster.pass_time(1.0)
        heard, client.heard = client.heard, b""
        return heard
