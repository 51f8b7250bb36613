"""
Tests for :mod:`eliop2p.storage.keys` and :mod:`eliop2p.storage.signed_origin`.
"""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import OriginUnavailable
from eliop2p.base.secret import Secret
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import IOrigin
from eliop2p.signing.own import Keys, s3_signer
from eliop2p.storage.hosted_origin import HostedOrigin, hosted
from eliop2p.storage.keys import (
    LOOK_SECONDS,
    RETRY_SECONDS,
    ChainKeys,
    IKeySource,
    StaticKeys,
)
from eliop2p.storage.signed_origin import SignedOrigin
from eliop2p.testing.workers import SteppedWorker
from tests.proxy.fakes import FakeOrigin

KEYS = Keys("AKNODE", Secret("secret"))


class ChainTests(SynchronousTestCase):
    """
    Credentials that are looked for.
    """

    def setUp(self) -> None:
        """
        Look through a list.
        """
        self.clock, self.worker = Clock(), SteppedWorker()
        self.found: list[Keys | Exception] = []
        self.source = ChainKeys(self.worker, self.clock.seconds, self.find)

    def find(self) -> Keys:
        """
        Find what is next on the list.
        """
        found = self.found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def key(self, asked: "Deferred[Keys]") -> str:
        """
        Give the access key that was found.
        """
        return self.successResultOf(asked).access_key

    def test_looked_for_once(self) -> None:
        """
        Whoever asks first waits, and there is one search for all.
        """
        self.found = [KEYS]
        waiting = [self.source.keys() for _ in range(3)]
        waiting[1].cancel()
        self.failureResultOf(waiting[1])
        self.assertEqual(self.worker.pending, 1)
        self.worker.step()
        self.assertEqual(self.key(waiting[0]), "AKNODE")
        self.assertEqual(self.key(waiting[2]), "AKNODE")

    def test_renewed(self) -> None:
        """
        After a while they are looked at again, and those at hand go on meanwhile.
        """
        self.found = [KEYS, Keys("AKNEXT", Secret("s"))]
        self.source.keys()
        self.worker.step()
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.key(self.source.keys()), "AKNODE")
        self.worker.step()
        self.assertEqual(self.key(self.source.keys()), "AKNEXT")
        self.assertEqual(self.worker.pending, 0)

    def test_none(self) -> None:
        """
        When there are none every request is told so at once, and they are looked for
        again a little later.
        """
        self.found = [OriginUnavailable("none there"), KEYS]
        asked = self.source.keys()
        self.worker.step()
        self.assertIn("none there", str(self.failureResultOf(asked).value))
        self.failureResultOf(self.source.keys(), OriginUnavailable)
        self.assertEqual(self.worker.pending, 0)
        self.clock.advance(RETRY_SECONDS)
        asked = self.source.keys()
        self.worker.step()
        self.assertEqual(self.key(asked), "AKNODE")

    def test_not_renewed(self) -> None:
        """
        When a search fails those at hand go on.
        """
        self.found = [KEYS, OriginUnavailable("metadata service gone"), KEYS]
        self.source.keys()
        self.worker.step()
        self.clock.advance(LOOK_SECONDS)
        self.source.keys()
        self.worker.step()
        self.assertEqual(self.key(self.source.keys()), "AKNODE")

    def test_broken(self) -> None:
        """
        A search that fails in a way that nobody has thought of is logged as that.
        """
        self.found = [ZeroDivisionError("a bug")]
        asked = self.source.keys()
        self.worker.step()
        self.failureResultOf(asked, OriginUnavailable)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class SignedOriginTests(SynchronousTestCase):
    """
    A store that is asked under the node's name.
    """

    def make(self, source: IKeySource) -> tuple[FakeOrigin, SignedOrigin]:
        """
        Put a signer in front of a store.
        """
        inner = FakeOrigin()
        sign = s3_signer(b"store:9000", "us-east-1")
        return inner, SignedOrigin(inner, sign, source, lambda: 1e9)

    def test_signed(self) -> None:
        """
        Every request is signed when it is sent; answers and counts are the store's.
        """
        inner, origin = self.make(StaticKeys(KEYS))
        verifyObject(IOrigin, origin)
        head = RequestHead(b"GET", b"/b/k", ((b"Host", b"localhost"),))
        asked = origin.request(head, None, None)
        self.assertIn(b"AKNODE/", inner.heads[0].get(b"authorization") or b"")
        answer = inner.answer(ResponseHead(200, b"OK"))
        self.assertIs(self.successResultOf(asked), answer)
        self.assertEqual((origin.name, origin.requests), (inner.name, 1))
        self.assertEqual(origin.bytes_in, 0)
        self.successResultOf(origin.close())

    def test_cannot_be_signed(self) -> None:
        """
        What cannot be signed, for want of keys or of sense, does not reach the store.
        """

        class NoKeys:
            def keys(self) -> "Deferred[Keys]":
                asked: Deferred[Keys] = succeed(KEYS)
                return asked.addCallback(self.fail)

            def fail(self, _: Keys) -> Keys:
                raise OriginUnavailable("none")

        bare = RequestHead(b"GET", b"/b/k")
        strange = bare.adding((b"Content-Type", b"\xff"))
        for source, head in ((NoKeys(), bare), (StaticKeys(KEYS), strange)):
            inner, origin = self.make(source)
            asked = origin.request(head, None, None)
            self.failureResultOf(asked, OriginUnavailable)
            self.assertEqual(inner.heads, [])


class HostedTests(SynchronousTestCase):
    """
    Buckets that are named by the host.
    """

    def test_moved(self) -> None:
        """
        The bucket goes from the path to the host, and nothing else changes.
        """
        for target, expected, host in (
            (b"/b/k", b"/k", b"b.base"),
            (b"/b/a%2Fb?x=/y", b"/a%2Fb?x=/y", b"b.base"),
            (b"/b//k", b"//k", b"b.base"),
            (b"/b", b"/", b"b.base"),
            (b"/b?prefix=a/b", b"/?prefix=a/b", b"b.base"),
            (b"/b/", b"/", b"b.base"),
            (b"/", b"/", b"base"),
            (b"/?prefix=a/b", b"/?prefix=a/b", b"base"),
            (b"//k", b"//k", b"base"),
            (b"/b%62/k", b"/b%62/k", b"base"),
            (b"/evil:80/k", b"/evil:80/k", b"base"),
        ):
            head = RequestHead(b"GET", target, ((b"host", b"node"), (b"a", b"1")))
            moved = hosted(head, b"base")
            self.assertEqual(moved.target, expected)
            self.assertEqual(moved.headers, ((b"host", host), (b"a", b"1")))

    def test_origin(self) -> None:
        """
        It is a store like any other.
        """
        inner = FakeOrigin()
        origin = HostedOrigin(inner, b"base")
        verifyObject(IOrigin, origin)
        asked = origin.request(RequestHead(b"GET", b"/b/k"), None, None)
        self.assertEqual(inner.heads[0].get(b"host"), b"b.base")
        inner.answer(ResponseHead(200, b"OK"))
        self.successResultOf(asked)
        self.assertEqual((origin.name, origin.requests), (inner.name, 1))
        self.assertEqual(origin.bytes_in, 0)
        self.successResultOf(origin.close())
