"""
Tests for :mod:`eliop2p.model.store`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.store import Place, StoreAddress, Stores

MINIO = StoreAddress(b"http://10.0.0.5:9000", "10.0.0.5", 9000, domains=("s3.lan",))
AWS = StoreAddress(b"https://s3.test:443", "s3.test", 443, tls=True)
EAST = StoreAddress(b"https://east.s3.test:443", "east.s3.test", 443, tls=True)
PLAIN = StoreAddress(b"http://plain.test:9000", "plain.test", 9000)
STORES = Stores(MINIO, (AWS, EAST, PLAIN))


class PlaceTests(SynchronousTestCase):
    """
    Which store a host name means.
    """

    def test_names(self) -> None:
        """
        A store is known by its own host and port, and by names below it, which begin
        with a bucket; by its further names on any port.
        """
        for host, port, store, bucket in (
            ("10.0.0.5", 9000, MINIO, ""),
            ("s3.lan", 80, MINIO, ""),
            ("s3.lan", 8080, MINIO, ""),
            ("my.bucket.s3.lan", 8080, MINIO, "my.bucket"),
            ("s3.test", 443, AWS, ""),
            ("s3.test", 80, AWS, ""),
            ("bkt.s3.test", 80, AWS, "bkt"),
            ("bkt.plain.test", 9000, PLAIN, "bkt"),
        ):
            self.assertEqual(STORES.find(host, port), Place(store, bucket), host)

    def test_aliases(self) -> None:
        """
        A host may stand for one bucket, on any port; names below it stand for nothing.
        """
        store = StoreAddress(
            b"http://10.0.0.5:9000", "10.0.0.5", 9000, aliases=(("cdn.lan", "models"),)
        )
        stores = Stores(store, (AWS,))
        for port in (80, 8080):
            self.assertEqual(stores.find("cdn.lan", port), Place(store, "models"))
        self.assertIsNone(stores.find("a.cdn.lan", 80))

    def test_longest(self) -> None:
        """
        Of two stores, one of whose names is below the other's, the longer name wins.
        """
        self.assertEqual(STORES.find("east.s3.test", 80), Place(EAST, ""))
        self.assertEqual(STORES.find("b.east.s3.test", 80), Place(EAST, "b"))

    def test_none(self) -> None:
        """
        Other hosts and ports are no store's, however alike.
        """
        for host, port in (
            *(("s3.test", 8443), ("plain.test", 80), ("10.0.0.5", 80)),
            *(("s3.test.evil", 80), ("xs3.test", 80), ("a.10.0.0.5", 9000)),
            *(("169.254.169.254", 80), ("localhost", 9000), ("", 80)),
        ):
            self.assertIsNone(STORES.find(host, port), host)

    def test_reverse(self) -> None:
        """
        What names no store is for the main one, its bucket in the path.
        """
        self.assertEqual(STORES.place("node1", 8080), Place(MINIO, ""))
        self.assertEqual(STORES.place("b.s3.test", 80), Place(AWS, "b"))
