"""
Tests for :mod:`eliop2p.proxy.gate`, :mod:`eliop2p.proxy.checked_body` and the refusals
that clients see.
"""

import hashlib
import xml.etree.ElementTree as ET
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import OriginUnavailable
from eliop2p.base.metrics import Metrics
from eliop2p.base.secret import Secret
from eliop2p.http1.dates import http_date
from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.model.store import StoreAddress, Stores
from eliop2p.proxy.gate import Gate, NobodyChecks, NodeChecks, OssDecides
from eliop2p.proxy.objects import ObjectReads
from eliop2p.proxy.records import Records
from eliop2p.proxy.service import ProxyService
from eliop2p.proxy.trust import Trust, node_authority
from eliop2p.signing.admission import verifiers
from eliop2p.signing.aws import sign_v2
from tests.proxy.fakes import FakeOrigin
from tests.proxy.test_service import Told
from tests.proxy.wires import Upload, Wire, connect, make_factory
from tests.signing.test_payload import example, example_head
from tests.signing.v4_case import (
    AKID,
    DATED,
    EMPTY,
    HOST,
    NOW,
    SECRET,
    client,
    with_signature,
)

DATA = b"data" * 20
STORE = StoreAddress(FakeOrigin.name, "store", 9000, domains=("s3.amazonaws.com",))


def upload(data: bytes = DATA, said: bytes = DATA) -> bytes:
    """
    Sign an upload of some data, and send others.
    """
    payload = hashlib.sha256(said).hexdigest()
    head = RequestHead(
        b"PUT",
        b"/bkt/k",
        (
            *(HOST, DATED, (b"Content-Length", b"%d" % len(data))),
            (b"x-amz-content-sha256", payload.encode()),
        ),
    )
    return with_signature(head, payload=payload).serialize() + data


class GateCase(SynchronousTestCase):
    """
    A client, the service behind a gate, and a store that is answered for by hand.
    """

    def put_together(self, gate: Gate) -> None:
        """
        Build it all.
        """
        self.clock, self.origin, self.metrics = Clock(), FakeOrigin(), Metrics()
        seconds = self.clock.seconds
        service = ProxyService(
            self.origin,
            cast("ObjectReads", None),  # No test here reads an object.
            Records(None, Told(), 64),
            self.metrics,
            gate=gate,
            trust=Trust(node_authority, seconds, self.metrics, fresh=0, stale=0),
            seconds=seconds,
            stores=Stores(STORE),
            tunnels=None,
        )
        self.factory = make_factory(self.clock, service.answer)
        self.wire: Wire = connect(self.clock, self.factory)

    def taken(self) -> Upload:
        """
        Take the body of the last request, as the store's side does.
        """
        upload = Upload(self.origin.bodies[-1])
        upload.start()
        return upload


class NodeChecksTests(GateCase):
    """
    auth = verify.
    """

    def setUp(self) -> None:
        """
        Know one client.
        """
        verify = verifiers("s3", "us-east-1")
        self.put_together(NodeChecks(lambda: {AKID: client()}, verify, lambda: NOW))

    def code(self) -> str | None:
        """
        Give the code with which the client was refused.
        """
        self.sent = self.wire.heard()
        _, _, body = self.sent.partition(b"\r\n\r\n")
        return ET.fromstring(body).findtext("Code")

    def test_passed_on(self) -> None:
        """
        An upload reaches the store without the client's signature, whole.
        """
        self.wire.say(upload())
        names = [name.lower() for name, _ in self.origin.heads[0].headers]
        self.assertEqual(names, [b"host", b"content-length", b"x-amz-content-sha256"])
        taken = self.taken()
        self.assertEqual((taken.data, taken.ended), (DATA, "finished"))
        head = ResponseHead(200, b"OK", ((b"Content-Length", b"0"),))
        self.origin.answer(head).end()
        self.assertIn(b" 200 OK", self.wire.heard())

    def test_bucket_in_the_host(self) -> None:
        """
        A bucket that Host names is checked as the client signed it, and goes on in the
        path: the node's own Host will not name it.
        """
        head = RequestHead(b"GET", b"/test.txt?acl", (HOST, DATED, EMPTY))
        self.wire.say(with_signature(head).serialize())
        self.assertEqual(self.origin.heads[0].target, b"/examplebucket/test.txt?acl")
        by_v2 = RequestHead(b"DELETE", b"/k", (HOST, (b"Date", http_date(NOW))))
        signature = sign_v2(
            Secret(SECRET), by_v2, "/examplebucket/k", http_date(NOW).decode()
        )
        said = (b"Authorization", f"AWS {AKID}:{signature}".encode())
        self.origin.answer(ResponseHead(204, b"No Content")).end()
        self.wire.say(by_v2.adding(said).serialize())
        self.assertEqual(self.origin.heads[1].target, b"/examplebucket/k")

    def test_last_piece_waits(self) -> None:
        """
        The store has the last piece of a body only when all of it has been checked.
        """
        request = upload()
        self.wire.say(request[:-50])
        taken = self.taken()
        self.wire.say(request[-50:-10])
        self.assertLess(len(taken.data), len(DATA) - 10)
        self.wire.say(request[-10:])
        self.assertEqual((taken.data, taken.ended), (DATA, "finished"))

    def test_another_body(self) -> None:
        """
        A body that is not the one signed never reaches the store whole, and the client
        is told so.
        """
        request = upload(b"dato" * 20)
        self.wire.say(request[:-10])
        taken = self.taken()
        self.wire.say(request[-10:])
        self.assertEqual(taken.ended, "failed")
        self.assertLess(len(taken.data), len(DATA))
        self.origin.waiting.pop().errback(OriginUnavailable("the body broke off"))
        self.assertEqual(self.code(), "XAmzContentSHA256Mismatch")
        self.assertIn(b" 400 Bad Request", self.sent)

    def test_signed_chunks(self) -> None:
        """
        A body in signed chunks reaches the store as plain data.
        """
        self.wire.say(example_head().serialize())
        taken = self.taken()
        body = example()
        for at in range(0, len(body), 10_000):
            self.wire.say(body[at : at + 10_000])
        self.assertEqual((taken.data, taken.ended), (b"a" * 66560, "finished"))

    def test_bad_chunk(self) -> None:
        """
        A chunk whose signature is wrong ends the upload at once.
        """
        self.wire.say(example_head().serialize())
        taken = self.taken()
        self.wire.say(example().replace(b"aaa", b"aba", 1))
        self.assertEqual(taken.ended, "failed")
        self.origin.waiting.pop().errback(OriginUnavailable("the body broke off"))
        self.assertEqual(self.code(), "SignatureDoesNotMatch")

    def test_refused(self) -> None:
        """
        Who is not let in gets the store's form of a refusal with this node's name for
        the request, the store hears nothing, and the connection goes on.
        """
        head = RequestHead(b"GET", b"/bkt/k", (HOST,))
        self.wire.say(head.serialize())
        self.assertEqual(self.code(), "AccessDenied")
        self.assertIn(b" 403 Forbidden", self.sent)
        self.assertEqual(self.origin.heads, [])
        refused = self.metrics.auth.labels("refused")._value.get()
        self.assertEqual(refused, 1)
        self.wire.say(upload())
        self.assertEqual(len(self.origin.heads), 1)

    def test_refused_head(self) -> None:
        """
        A refused HEAD has no body.
        """
        self.wire.say(RequestHead(b"HEAD", b"/bkt/k", (HOST,)).serialize())
        self.assertTrue(self.wire.heard().endswith(b"\r\n\r\n"))

    def test_refused_before_the_body(self) -> None:
        """
        A client that waits for 100 before it sends a body is refused, and told that
        the connection ends: what it sends next must not be taken for the body.
        """
        headers: tuple[Header, ...] = (
            *(HOST, (b"Expect", b"100-continue"), (b"Content-Length", b"4")),
        )
        self.wire.say(RequestHead(b"PUT", b"/bkt/k", headers).serialize())
        sent = self.wire.heard()
        self.assertIn(b"Connection: close", sent)
        self.assertNotIn(b" 100 ", sent)


class OssDecidesTests(GateCase):
    """
    auth = passthrough, in front of Alibaba OSS.
    """

    def test_bucket_in_the_host(self) -> None:
        """
        A bucket that Host names is moved to the path, where the node looks for it; the
        signature stays.
        """
        self.put_together(OssDecides(STORE.name))
        headers = (HOST, (b"Authorization", b"OSS a:b"))
        self.wire.say(RequestHead(b"HEAD", b"/k?x-oss-process=a", headers).serialize())
        (sent,) = self.origin.heads
        self.assertEqual(sent.target, b"/examplebucket/k?x-oss-process=a")
        self.assertEqual(sent.headers, headers)

    def test_another_store(self) -> None:
        """
        What goes to another store than OSS is left as it is.
        """
        self.put_together(OssDecides(b"http://another"))
        self.wire.say(RequestHead(b"HEAD", b"/k", (HOST,)).serialize())
        self.assertEqual(self.origin.heads[0].target, b"/k")


class NobodyChecksTests(GateCase):
    """
    auth = open, with credentials of the node's own.
    """

    def setUp(self) -> None:
        """
        Check nobody.
        """
        self.put_together(NobodyChecks())

    def test_stripped(self) -> None:
        """
        Whatever signature a request has is left out, and what is left goes on.
        """
        target = b"/bkt/k?acl&X-Amz-Signature=0&X-Amz-Expires=9&Expires=9&b=1"
        headers = (HOST, (b"Authorization", b"AWS a:b"), (b"Date", b"then"))
        self.wire.say(RequestHead(b"GET", target, headers).serialize())
        target = b"/examplebucket/bkt/k?acl&b=1"
        self.assertEqual(self.origin.heads[0].target, target)
        self.assertEqual(self.origin.heads[0].headers, (HOST,))

    def test_signed_chunks(self) -> None:
        """
        Signed chunks are taken apart, whoever signed them: the store could not.
        """
        self.wire.say(example_head().serialize())
        taken = self.taken()
        self.wire.say(example().replace(b"ad80", b"ad81"))
        self.assertEqual((taken.data, taken.ended), (b"a" * 66560, "finished"))
