"""
Clusters for tests, and what must hold after each of them.
"""

import random
from pathlib import Path
from time import gmtime, strftime

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.dates import http_date
from eliop2p.http1.message import Header
from eliop2p.model.ranges import content_range, parse_range
from eliop2p.testing.cluster import EPOCH, Cluster, Member, Plan
from eliop2p.testing.simclient import Answer

CHUNK = 64 * 1024
PATH = b"/bucket/key"

ALICE: Header = (b"Authorization", b"AWS alice:signature")
MALLORY: Header = (b"Authorization", b"AWS mallory:signature")
DATE: Header = (b"Date", http_date(EPOCH))

SIGNED_RANGE: tuple[Header, ...] = (
    (b"x-amz-date", strftime("%Y%m%dT%H%M%SZ", gmtime(EPOCH)).encode()),
    (
        b"Authorization",
        b"AWS4-HMAC-SHA256 Credential=c, SignedHeaders=host;range, Signature=s",
    ),
)
"""
A signature that covers the Range header, as boto3 makes them.
"""

_LASTING = ("_updateLogDateTime", "_removeConnection")
"""
What twisted.web leaves scheduled for good.
"""


def made_up(seed: object, size: int) -> bytes:
    """
    Make up an object's bytes.
    """
    return random.Random(str(seed)).randbytes(size)


class ClusterCase(SynchronousTestCase):
    """
    A test with a cluster of its own.
    """

    def make_cluster(self, plan: Plan) -> Cluster:
        """
        Start a cluster, to be stopped and looked over after the test.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        cluster = Cluster(directory, plan)
        cluster.start()
        self.addCleanup(self.finish, cluster)
        return cluster

    def finish(self, cluster: Cluster) -> None:
        """
        Stop a cluster; nothing may be left under way, nor be scheduled.
        """
        for member in cluster.members:
            if member.node is not None:
                self.assertEqual(member.node.chunks.inflight, 0)
        cluster.stop()
        calls = [str(call) for call in cluster.clock.getDelayedCalls()]
        left = [call for call in calls if not call.split("(")[0].endswith(_LASTING)]
        self.assertEqual(left, [])

    def assert_got(self, answer: Answer, data: bytes, status: int = 200) -> None:
        """
        Demand that an answer is complete and right.
        """
        self.assertEqual((answer.status, answer.complete), (status, True))
        self.assertTrue(answer.body == data, "the bytes are wrong")


@attrs.frozen
class Request:
    """
    A read that can be judged.

    Attributes:
        member: Through which node.
        path: Of what.
        range: The Range header; empty for none.
        signed: Whether the signature covers it.
    """

    member: Member
    path: bytes
    range: bytes = b""
    signed: bool = False

    def send(self, cluster: Cluster) -> Deferred[Answer]:
        """
        Send the request.
        """
        headers: tuple[Header, ...] = ()
        if self.range:
            headers = ((b"Range", self.range),)
        if self.signed:
            headers += SIGNED_RANGE
        return cluster.get(self.member, self.path, *headers)

    def is_right(self, answer: Answer, data: bytes) -> bool:
        """
        Tell whether an answer is what a store without faults gives.
        """
        spec = parse_range(self.range)
        if spec is None:
            return answer.status == 200 and answer.complete and answer.body == data
        part = spec.resolve(len(data))
        assert part is not None
        return (
            answer.status == 206
            and answer.complete
            and answer.body == data[part.start : part.stop]
            and answer.header(b"content-range") == content_range(part, len(data))
        )

    def is_harmless(self, answer: Answer, versions: tuple[bytes, ...]) -> bool:
        """
        Tell whether an answer cannot pass for other bytes than those of one version:
        it is right, an error, or broken off.
        """
        if not answer.complete or answer.status not in (200, 206):
            return True
        return any(self.is_right(answer, data) for data in versions)


def was_relayed(cluster: Cluster, answer: Answer) -> bool:
    """
    Tell whether an answer is, byte for byte, what the store itself sent to a request:
    what a client without a node would have got.
    """
    if answer.header(b"x-cache") != b"BYPASS":
        return False
    number = answer.header(b"x-amz-request-id")
    if not number:
        return False
    asked = cluster.store.log[int(number)]
    return answer.status == asked.status and answer.body == asked.payload
