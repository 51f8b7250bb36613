"""
Clusters for tests, and what must hold after each of them.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from time import gmtime, strftime

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.dates import http_date
from eliop2p.http1.message import Header
from eliop2p.model.ranges import Interval, content_range, parse_range
from eliop2p.proxy import objects
from eliop2p.testing.cluster import EPOCH, Cluster, Member, Plan
from eliop2p.testing.simclient import Answer
from eliop2p.testing.simfaults import Fault
from eliop2p.testing.simstore import Asked

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

STREAMED_CHUNKS = 12
"""
Objects of more chunks are read from the store in many answers.
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


def always(fault: Fault) -> Callable[[Asked], Fault]:
    """
    Let every answer be wrong in the same way.
    """
    return lambda _: fault


class ClusterCase(SynchronousTestCase):
    """
    A test with a cluster of its own.
    """

    def make_cluster(self, plan: Plan, *, start: bool = True) -> Cluster:
        """
        Start a cluster, to be stopped and looked over after the test, or leave that to
        the test. What is large to it, and read from the store in many answers, is as
        small as its chunks are.
        """
        self.patch(objects, "STREAMED_BYTES", STREAMED_CHUNKS * plan.chunk_size)
        directory = Path(self.mktemp())
        directory.mkdir()
        cluster = Cluster(directory, plan)
        if start:
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
        if spec is None or not self.has_right_bytes(answer, data):
            return self.has_right_bytes(answer, data)
        part = spec.resolve(len(data))
        assert part is not None
        return answer.header(b"content-range") == content_range(part, len(data))

    def has_right_bytes(self, answer: Answer, data: bytes) -> bool:
        """
        Tell whether an answer is complete and has the bytes that were asked for.
        """
        spec = parse_range(self.range)
        part = spec.resolve(len(data)) if spec else Interval(0, len(data))
        return (
            part is not None
            and answer.status == (206 if spec else 200)
            and answer.complete
            and answer.body == data[part.start : part.stop]
        )

    def is_harmless(self, answer: Answer, versions: tuple[bytes, ...]) -> bool:
        """
        Tell whether an answer cannot pass for other bytes than those of one version:
        it is right, an error, or broken off.
        """
        if not answer.complete or answer.status not in (200, 206):
            return True
        return any(self.has_right_bytes(answer, data) for data in versions)


def ask(cluster: Cluster, requests: Sequence[Request]) -> list[tuple[Request, Answer]]:
    """
    Send requests at the same time, and wait for all answers.
    """
    reads = gatherResults([request.send(cluster) for request in requests])
    answers = cluster.wait(reads)
    return list(zip(requests, answers, strict=True))
