"""
Tests for :mod:`eliop2p.model.checksum_offer`.
"""

import base64
import hashlib

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.checksum_offer import MAX_DIGESTED, Check, offered

SIZE = 1000
MD5 = hashlib.md5(b"x").digest()
ETAG = b'"' + MD5.hex().encode() + b'"'
SHA = hashlib.sha256(b"x").digest()


def offer(
    headers: dict[bytes, bytes], *, whole: bool = True, size: int = SIZE
) -> Check | None:
    """
    Choose among the checks of some headers.
    """
    return offered(headers.get, size, whole=whole)


def coded(value: bytes) -> bytes:
    """
    Write a value as S3 does.
    """
    return base64.b64encode(value)


class OfferTests(SynchronousTestCase):
    """
    Which check the head of an answer offers.
    """

    def test_full_object_checksums(self) -> None:
        """
        Each kind of full-object checksum is read, with and without its type.
        """
        values = {
            "crc32": b"1234",
            "crc32c": b"1234",
            "crc64nvme": b"12345678",
            "sha1": bytes(20),
            "sha256": SHA,
        }
        for algorithm, value in values.items():
            name = b"x-amz-checksum-" + algorithm.encode()
            headers = {name: coded(value)}
            self.assertEqual(offer(headers), Check(algorithm, value))
            headers[b"x-amz-checksum-type"] = b"FULL_OBJECT"
            self.assertEqual(offer(headers), Check(algorithm, value))

    def test_composite(self) -> None:
        """
        A checksum of checksums is no check of the bytes.
        """
        name = b"x-amz-checksum-sha256"
        self.assertIsNone(offer({name: coded(SHA) + b"-3"}))
        composite = {name: coded(SHA), b"x-amz-checksum-type": b"COMPOSITE"}
        self.assertIsNone(offer(composite))

    def test_malformed(self) -> None:
        """
        Values that are no Base64, or of another length, are as if they were not there.
        """
        for value in (b"", b"x", b"!!!!", coded(b"12345"), b"\xff" * 8, b"12 4AAA="):
            self.assertIsNone(offer({b"x-amz-checksum-crc32": value}))
        for value in (b"", b"-1", b"+1", b"1_0", b"1" * 21, b"%d" % 2**64, b"0x10"):
            self.assertIsNone(offer({b"x-oss-hash-crc64ecma": value}))

    def test_cheapest(self) -> None:
        """
        A CRC is preferred, since it needs no second look at the bytes.
        """
        headers = {
            b"etag": ETAG,
            b"x-amz-checksum-sha256": coded(SHA),
            b"x-amz-checksum-crc32": coded(b"1234"),
        }
        self.assertEqual(offer(headers), Check("crc32", b"1234"))
        del headers[b"x-amz-checksum-crc32"]
        self.assertEqual(offer(headers), Check("sha256", SHA))
        del headers[b"x-amz-checksum-sha256"]
        self.assertEqual(offer(headers), Check("md5", MD5))

    def test_of_a_range(self) -> None:
        """
        The checksum in a 206 may be that of a part; ETag and OSS's CRC are the
        object's.
        """
        headers = {b"x-amz-checksum-crc32": coded(b"1234")}
        self.assertIsNone(offer(headers, whole=False))
        headers[b"etag"] = ETAG
        self.assertEqual(offer(headers, whole=False), Check("md5", MD5))
        headers[b"x-oss-hash-crc64ecma"] = b"%d" % (2**64 - 1)
        self.assertEqual(offer(headers, whole=False), Check("crc64ecma", b"\xff" * 8))

    def test_etags(self) -> None:
        """
        Only a strong ETag of 32 hexadecimal digits may be an MD5, in either case.
        """
        self.assertEqual(offer({b"etag": ETAG.upper()}), Check("md5", MD5))
        for etag in (
            ETAG[:-1] + b'-2"',
            b"W/" + ETAG,
            ETAG.strip(b'"'),
            ETAG + b"\n",
            b'"' + b"g" * 32 + b'"',
        ):
            self.assertIsNone(offer({b"etag": etag}))

    def test_encrypted_etags(self) -> None:
        """
        Where the store encrypts with another key than its own, the ETag is no MD5.
        """
        name = b"x-amz-server-side-encryption"
        self.assertEqual(offer({b"etag": ETAG, name: b"AES256"}), Check("md5", MD5))
        self.assertIsNone(offer({b"etag": ETAG, name: b"aws:kms"}))
        self.assertIsNone(offer({b"etag": ETAG, name: b"aws:kms:dsse"}))
        customer = b"x-amz-server-side-encryption-customer-algorithm"
        self.assertIsNone(offer({b"etag": ETAG, customer: b"AES256"}))

    def test_appended_etags(self) -> None:
        """
        The ETag of an object that was appended to is no MD5.
        """
        for name in (b"x-oss-object-type", b"x-rgw-object-type"):
            self.assertIsNone(offer({b"etag": ETAG, name: b"Appendable"}))
            self.assertIsNotNone(offer({b"etag": ETAG, name: b"Normal"}))

    def test_too_large(self) -> None:
        """
        Objects of any size are checked by a CRC, but digests have a bound.
        """
        self.assertIsNotNone(offer({b"etag": ETAG}, size=MAX_DIGESTED))
        self.assertIsNone(offer({b"etag": ETAG}, size=MAX_DIGESTED + 1))
        crc = {b"x-oss-hash-crc64ecma": b"7"}
        self.assertIsNotNone(offer(crc, size=MAX_DIGESTED + 1))

    def test_nothing(self) -> None:
        """
        A head without any of this offers nothing.
        """
        self.assertIsNone(offer({b"content-length": b"5"}))
