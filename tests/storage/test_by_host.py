"""
Tests for :mod:`eliop2p.storage.by_host`.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.http1.message import RequestHead
from eliop2p.interfaces import IOrigin
from eliop2p.model.store import StoreAddress, Stores
from eliop2p.storage.by_host import OriginsByHost
from tests.proxy.fakes import FakeOrigin

MAIN = StoreAddress(b"http://10.0.0.5:9000", "10.0.0.5", 9000)
AWS = StoreAddress(b"https://s3.test:443", "s3.test", 443, tls=True)


class ByHostTests(SynchronousTestCase):
    """
    Two stores.
    """

    def setUp(self) -> None:
        """
        Put them together.
        """
        self.main, self.aws = FakeOrigin(), FakeOrigin()
        stores = Stores(MAIN, (AWS,))
        self.origin = OriginsByHost(stores, {MAIN.name: self.main, AWS.name: self.aws})

    def test_provided(self) -> None:
        """
        It is an origin, called as its main store.
        """
        verifyObject(IOrigin, self.origin)
        self.assertEqual(self.origin.name, MAIN.name)

    def test_choice(self) -> None:
        """
        A request goes to the store that its Host names, else to the main one.
        """
        for headers, store in (
            (((b"Host", b"bkt.s3.test"),), self.aws),
            (((b"Host", b"node:8080"),), self.main),
            ((), self.main),
        ):
            head = RequestHead(b"GET", b"/b/k", headers)
            self.origin.request(head, None, None)
            self.assertIs(store.heads[-1], head)
        self.assertEqual((len(self.aws.heads), self.origin.requests), (1, 3))

    def test_sums(self) -> None:
        """
        What all stores sent is one number; closing closes all of them.
        """
        self.main.bytes_in, self.aws.bytes_in = 5, 7
        self.assertEqual(self.origin.bytes_in, 12)
        self.successResultOf(self.origin.close())
