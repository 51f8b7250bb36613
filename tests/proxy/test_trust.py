"""
Tests for :mod:`eliop2p.proxy.trust`.
"""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import OriginError, OriginUnavailable
from eliop2p.base.metrics import Metrics
from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.interfaces import IOriginResponse
from eliop2p.model.chunk import ObjectId, ObjectKey, ObjectVersion
from eliop2p.model.record import ObjectRecord
from eliop2p.proxy.trust import (
    Authority,
    Trust,
    node_authority,
    request_authority,
)
from tests.proxy.fakes import FakeResponse

ID = ObjectId(b"o" * 32)
NODE = Authority(ID)
KEY = ObjectKey(b"http://s", b"b", b"k")
SIGNED: Header = (
    b"Authorization",
    b"AWS4-HMAC-SHA256 Credential=a/1/r/s3/aws4_request, SignedHeaders=host;range, Sig",
)


def record(etag: bytes = b'"e"', head: bytes = b"head") -> ObjectRecord:
    """
    Make what is believed of the object.
    """
    return ObjectRecord(KEY, ObjectVersion(etag, 9), 64, head, True)


class Asked:
    """
    A store that is answered for by hand.
    """

    def __init__(self) -> None:
        self.waiting: list[Deferred[IOriginResponse]] = []

    def __call__(self) -> "Deferred[IOriginResponse]":
        """
        Ask.
        """
        asked: Deferred[IOriginResponse] = Deferred()
        self.waiting.append(asked)
        return asked

    def answer(self, status: int) -> FakeResponse:
        """
        Answer the oldest question.
        """
        response = FakeResponse(ResponseHead(status, b""))
        self.waiting.pop(0).callback(response)
        return response


class TrustCase(SynchronousTestCase):
    """
    A store, a clock, and what is remembered.
    """

    def setUp(self) -> None:
        """
        Know nothing.
        """
        self.clock, self.store = Clock(), Asked()
        self.clock.advance(1000)
        self.trust = self.make(fresh=10)

    def make(self, fresh: float = 0, stale: float = 0) -> Trust:
        """
        Make a memory.
        """
        return Trust(
            node_authority, self.clock.seconds, Metrics(), fresh=fresh, stale=stale
        )

    def confirm(
        self, who: Authority | None = NODE, what: ObjectRecord | None = None
    ) -> "Deferred[IOriginResponse | ResponseHead]":
        """
        Ask whether a version is still the right one.
        """
        return Deferred.fromCoroutine(
            self.trust.confirm(
                who, what or record(), self.store, lambda head: head.status == 304
            )
        )

    def status(self, asked: "Deferred[IOriginResponse | ResponseHead]") -> int:
        """
        Give the status of an answer that is a head alone.
        """
        head = self.successResultOf(asked)
        assert isinstance(head, ResponseHead)
        return head.status


class FreshTests(TrustCase):
    """
    The store's last word, while it is fresh.
    """

    def test_asked_once(self) -> None:
        """
        Within the time the store is asked once, then again; the time runs from the
        question, not from the answer.
        """
        first = self.confirm()
        self.clock.advance(4)
        self.store.answer(304)
        self.assertEqual(self.status(first), 304)
        self.clock.advance(5.9)
        self.assertEqual(self.status(self.confirm()), 304)
        self.clock.advance(0.2)
        self.confirm()
        self.assertEqual(len(self.store.waiting), 1)

    def test_dated(self) -> None:
        """
        What stands for the answer has the time of now.
        """
        self.trust.note(NODE, record(), self.clock.seconds())
        head = self.successResultOf(self.confirm())
        assert isinstance(head, ResponseHead)
        self.assertEqual(head.get(b"date"), b"Thu, 01 Jan 1970 00:16:40 GMT")

    def test_not_without_leave(self) -> None:
        """
        Without a time to live nothing is remembered, nobody waits for anybody.
        """
        self.trust = self.make()
        self.assertIsNone(self.trust.of(ID, RequestHead(b"GET", b"/")))
        for _ in range(2):
            self.confirm(None)
        self.assertEqual(len(self.store.waiting), 2)

    def test_another_version(self) -> None:
        """
        A word counts for the version and the head that it was about.
        """
        self.trust.note(NODE, record(), self.clock.seconds())
        for other in (record(b'"f"'), record(head=b"changed")):
            self.confirm(Authority(ID), other)
            self.store.answer(200)
        self.assertNoResult(self.confirm(Authority(ObjectId(b"x" * 32))))

    def test_written(self) -> None:
        """
        After a write nothing counts that was asked before it ended.
        """
        self.trust.note(NODE, record(), self.clock.seconds())
        self.clock.advance(1)
        self.trust.drop(ID)
        self.assertNoResult(self.confirm())
        self.clock.advance(1)
        self.trust.note(NODE, record(), self.clock.seconds())
        self.assertEqual(self.status(self.confirm()), 304)

    def test_one_question(self) -> None:
        """
        While one asks, others wait for the answer; if there is none each asks itself.
        """
        waiting = [self.confirm() for _ in range(3)]
        self.assertEqual(len(self.store.waiting), 1)
        self.store.answer(304)
        self.assertEqual([self.status(each) for each in waiting], [304] * 3)
        self.clock.advance(60)
        waiting = [self.confirm() for _ in range(3)]
        self.store.waiting.pop().errback(OriginUnavailable("gone"))
        self.failureResultOf(waiting[0], OriginError)
        self.assertEqual(len(self.store.waiting), 2)

    def test_gone(self) -> None:
        """
        One who waits may go; one who asks and goes lets the others ask.
        """
        first, second, third = (self.confirm() for _ in range(3))
        second.cancel()
        self.failureResultOf(second)
        first.cancel()
        self.failureResultOf(first)
        self.assertEqual(len(self.store.waiting), 2)
        self.store.waiting.pop(0)
        self.store.answer(304)
        self.assertEqual(self.status(third), 304)


class StaleTests(TrustCase):
    """
    The store's last word, while it says nothing.
    """

    def setUp(self) -> None:
        """
        Bear silence for a minute.
        """
        super().setUp()
        self.trust = self.make(stale=60)
        self.trust.note(NODE, record(), self.clock.seconds())

    def test_asked_first(self) -> None:
        """
        The store is asked each time, and its word counts while there is one.
        """
        refused = self.confirm()
        response = self.store.answer(403)
        self.assertIs(self.successResultOf(refused), response)

    def test_unreachable(self) -> None:
        """
        What was granted within the time is granted; what was granted before is not.
        """
        first = self.confirm()
        self.store.waiting.pop().errback(OriginUnavailable("gone"))
        self.assertEqual(self.status(first), 304)
        self.clock.advance(60)
        late = self.confirm()
        self.store.waiting.pop().errback(OriginUnavailable("gone"))
        self.failureResultOf(late, OriginUnavailable)

    def test_failing(self) -> None:
        """
        A store that answers that it cannot answer counts as not reached.
        """
        asked = self.confirm()
        self.assertTrue(self.store.answer(503).aborted)
        self.assertEqual(self.status(asked), 304)

    def test_unknown(self) -> None:
        """
        Who was never granted anything is granted nothing.
        """
        asked = self.confirm(Authority(ID, b"another"))
        self.store.waiting.pop().errback(OriginUnavailable("gone"))
        self.failureResultOf(asked, OriginUnavailable)


class OutlivingTests(TrustCase):
    """
    What is known of an object, where it counts whoever learnt it.
    """

    def setUp(self) -> None:
        """
        Let it count.
        """
        super().setUp()
        self.trust = Trust(
            node_authority,
            self.clock.seconds,
            Metrics(),
            fresh=0,
            stale=0,
            outlives=True,
        )

    def unreachable(self) -> "Deferred[IOriginResponse | ResponseHead]":
        """
        Ask while the store cannot be reached.
        """
        asked = self.confirm(self.trust.of(ID, RequestHead(b"GET", b"/")))
        self.store.waiting.pop().errback(OriginUnavailable("gone"))
        return asked

    def test_any_time(self) -> None:
        """
        It counts without a word of the store to this node, and however old it is; the
        store is asked first each time.
        """
        self.assertEqual(self.status(self.unreachable()), 304)
        self.clock.advance(1_000_000)
        self.assertEqual(self.status(self.unreachable()), 304)

    def test_written(self) -> None:
        """
        After a write it does not, until the store has said something since.
        """
        self.trust.drop(ID)
        self.failureResultOf(self.unreachable(), OriginUnavailable)
        self.clock.advance(1)
        self.trust.note(NODE, record(), self.clock.seconds())
        self.assertEqual(self.status(self.unreachable()), 304)


class AuthorityTests(SynchronousTestCase):
    """
    The very same signed request.
    """

    def of(
        self, *headers: Header, target: bytes = b"/b/k", method: bytes = b"GET"
    ) -> Authority | None:
        """
        Name the authority of a request.
        """
        return request_authority(ID, RequestHead(method, target, headers))

    def test_same(self) -> None:
        """
        What is neither signed nor looked at by stores does not tell requests apart; a
        Range that is not signed says only which bytes are wanted.
        """
        url = b"/b/k?X-Amz-Signature=0&X-Amz-SignedHeaders=host"
        one = self.of((b"Range", b"bytes=0-1"), (b"Accept", b"*/*"), target=url)
        self.assertIsNotNone(one)
        self.assertEqual(one, self.of(target=url))

    def test_different(self) -> None:
        """
        Method, target, signature, signed headers and those that a store's rules may be
        about tell requests apart.
        """
        requests = (
            self.of(SIGNED),
            self.of((SIGNED[0], SIGNED[1] + b"1")),
            self.of(SIGNED, method=b"HEAD"),
            self.of(SIGNED, target=b"/b/l"),
            self.of(SIGNED, (b"Host", b"a")),
            self.of(SIGNED, (b"Range", b"bytes=0-1")),
            self.of(SIGNED, (b"X-Amz-Date", b"now")),
            self.of(SIGNED, (b"User-Agent", b"a")),
            self.of(SIGNED, (b"Referer", b"a")),
        )
        self.assertEqual(len(set(requests)), len(requests))

    def test_none(self) -> None:
        """
        A request that is not signed, or in a way not known, is remembered for nobody.
        """
        self.assertIsNone(self.of())
        self.assertIsNone(self.of((b"Authorization", b"Something new")))
        self.assertIsNone(self.of(SIGNED, SIGNED))
