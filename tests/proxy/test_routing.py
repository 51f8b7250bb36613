"""
Tests for :mod:`eliop2p.proxy.routing`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import BadRequest, ForbiddenTarget
from eliop2p.http1.message import RequestHead
from eliop2p.model.chunk import ObjectKey
from eliop2p.model.store import Place, StoreAddress, Stores
from eliop2p.proxy.request import ReadObject, classify
from eliop2p.proxy.routing import Route, find_route, find_tunnel

MAIN = StoreAddress(b"http://127.0.0.1:9000", "127.0.0.1", 9000)
AWS = StoreAddress(b"https://s3.test:443", "s3.test", 443, tls=True)
STORES = Stores(MAIN, (AWS,))


def get(target: bytes, host: bytes = b"node:8080") -> RequestHead:
    """
    Make a GET.
    """
    return RequestHead(b"GET", target, ((b"Host", host), (b"X-oDD", b"1")))


def route(head: RequestHead, *, forward: bool = True) -> Route:
    """
    Route a request.
    """
    return find_route(head, STORES, forward=forward)


class RouteTests(SynchronousTestCase):
    """
    Where requests go.
    """

    def test_reverse(self) -> None:
        """
        A request in origin form goes to the store that its Host names, or else to the
        main one, and stays as it is.
        """
        for host, place in (
            (b"node:8080", Place(MAIN, "")),
            (b"bkt.S3.test", Place(AWS, "bkt")),
            (b"s3.test:80", Place(AWS, "")),
        ):
            for forward in (True, False):
                head = get(b"/a/b?c", host)
                self.assertEqual(route(head, forward=forward), Route(head, place))

    def test_forward(self) -> None:
        """
        A request in absolute form goes to the store that it names, in origin form; its
        headers stay as they are, Host among them.
        """
        for target, host, place, sent in (
            (
                b"http://bkt.s3.test/k%2f?x",
                b"bkt.s3.test",
                Place(AWS, "bkt"),
                b"/k%2f?x",
            ),
            # The AWS common runtime writes the port in the target only.
            (b"http://s3.test:80/b/k", b"s3.test", Place(AWS, ""), b"/b/k"),
            (b"http://S3.test/b/k", b"s3.TEST", Place(AWS, ""), b"/b/k"),
            (b"http://127.0.0.1:9000/b", b"127.0.0.1:9000", Place(MAIN, ""), b"/b"),
        ):
            found = route(get(target, host))
            self.assertEqual(found, Route(get(sent, host), place), target)

    def test_no_open_proxy(self) -> None:
        """
        Hosts that are no store of the node are forbidden, its own and the cloud's
        internal addresses among them, and so is every host on a node that is no
        forward proxy.
        """
        for host in (
            *(b"evil.test", b"127.0.0.1:8081", b"localhost:9000", b"169.254.169.254"),
            *(b"[::1]:9000", b"s3.test:22", b"0x7f000001:9000", b"2130706433:9000"),
        ):
            with self.assertRaises(ForbiddenTarget) as caught:
                route(get(b"http://%s/b/k" % host, host))
            self.assertEqual(caught.exception.why, "host")
        with self.assertRaises(ForbiddenTarget) as caught:
            route(get(b"http://s3.test/b/k", b"s3.test"), forward=False)
        self.assertEqual(caught.exception.why, "off")

    def test_two_hosts(self) -> None:
        """
        A Host that means another store or bucket than the target, or none at all, is
        refused: what one of the two may fetch must not be kept under the other's name.
        """
        for target, host in (
            (b"http://a.s3.test/k", b"b.s3.test"),
            (b"http://s3.test/k", b"127.0.0.1:9000"),
            (b"http://s3.test/k", b"evil.test"),
            (b"http://s3.test/k", b""),
        ):
            with self.assertRaises(BadRequest, msg=repr(target)):
                route(get(target, host))

    def test_https_target(self) -> None:
        """
        Only http targets are forwarded: a client that wants TLS asks for a tunnel.
        """
        with self.assertRaises(BadRequest):
            route(get(b"https://s3.test/b/k", b"s3.test"))

    def test_same_object(self) -> None:
        """
        Path style and virtual-host style, forward and reverse name the same object.
        """
        for target, host in (
            (b"http://s3.test/bkt/a/k", b"s3.test"),
            (b"http://bkt.s3.test/a/k", b"bkt.s3.test"),
            (b"/bkt/a/k", b"s3.test"),
            (b"/a/k", b"bkt.s3.test"),
        ):
            found = route(get(target, host))
            plan = classify(found.head, found.place)
            assert isinstance(plan, ReadObject)
            self.assertEqual(plan.key, ObjectKey(AWS.name, b"bkt", b"a/k"))


class TunnelTests(SynchronousTestCase):
    """
    Where CONNECT leads to.
    """

    def test_stores(self) -> None:
        """
        A tunnel leads to a store on the store's own port, whatever the bucket.
        """
        for target, store in (
            (b"s3.test:443", AWS),
            (b"bkt.s3.test:443", AWS),
            (b"127.0.0.1:9000", MAIN),
        ):
            head = RequestHead(b"CONNECT", target, ((b"Host", target),))
            self.assertEqual(find_tunnel(head, STORES), store)

    def test_elsewhere(self) -> None:
        """
        A tunnel leads nowhere else.
        """
        for target in (b"s3.test:80", b"s3.test:22", b"evil.test:443", b"127.0.0.1:22"):
            head = RequestHead(b"CONNECT", target, ((b"Host", target),))
            with self.assertRaises(ForbiddenTarget):
                find_tunnel(head, STORES)

    def test_no_authority(self) -> None:
        """
        A target that is not a host and a port is refused.
        """
        for target in (b"s3.test", b"/", b"http://s3.test:443/", b"s3.test:443/x"):
            head = RequestHead(b"CONNECT", target, ((b"Host", b"s3.test"),))
            with self.assertRaises(BadRequest, msg=repr(target)):
                find_tunnel(head, STORES)
