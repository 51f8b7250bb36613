"""
Tests for :mod:`eliop2p.storage.local`.
"""

import errno
import os

from twisted.internet.defer import CancelledError
from zope.interface.verify import verifyObject

from eliop2p.base.errors import OriginUnavailable
from eliop2p.interfaces import IOrigin, IOriginResponse
from tests.storage.doubles import (
    Source,
)
from tests.storage.local_case import CONTENT, LocalTestCase


class AnswerTests(LocalTestCase):
    """
    A file is answered as an object is.
    """

    def test_interfaces(self) -> None:
        """
        Origin and answer provide their interfaces.
        """
        verifyObject(IOrigin, self.origin)
        asked = self.ask()
        verifyObject(IOriginResponse, asked.answer)
        asked.answer.abort()
        self.successResultOf(self.origin.close())
        self.assertEqual(self.origin.name, b"file://" + str(self.root).encode())

    def test_get(self) -> None:
        """
        A GET gives the content and the headers that clients look at.
        """
        asked = self.ask()
        head = asked.answer.head
        found = self.file.stat()
        etag = b'"%x-%x-%x"' % (found.st_ino, found.st_size, found.st_mtime_ns)
        self.assertEqual(
            (head.status, head.reason, head.headers),
            (
                200,
                b"OK",
                (
                    (b"Date", b"Sun, 06 Nov 1994 08:49:38 GMT"),
                    (b"Last-Modified", b"Sun, 06 Nov 1994 08:49:37 GMT"),
                    (b"ETag", etag),
                    (b"Accept-Ranges", b"bytes"),
                    (b"Content-Type", b"text/plain"),
                    (b"Content-Length", b"100"),
                ),
            ),
        )
        receiver = asked.read()
        self.assertEqual((receiver.data, receiver.ends), (CONTENT, [None]))
        self.assertEqual((self.origin.requests, self.origin.bytes_in), (1, 100))
        self.assert_closed()

    def test_head(self) -> None:
        """
        A HEAD gives the headers of the GET and no body.
        """
        expected = self.ask().answer
        expected.abort()
        asked = self.ask(method=b"HEAD")
        self.assertEqual(asked.answer.head, expected.head)
        receiver = asked.read()
        self.assertEqual((receiver.data, receiver.ends), (b"", [None]))
        self.assert_closed()

    def test_range(self) -> None:
        """
        A range gives its bytes, with Content-Range.
        """
        asked = self.ask(b"/b/dir/k.txt", (b"Range", b"bytes=5-14"))
        head = asked.answer.head
        self.assertEqual((head.status, head.reason), (206, b"Partial Content"))
        self.assertEqual(head.get(b"content-range"), b"bytes 5-14/100")
        self.assertEqual(head.get(b"content-length"), b"10")
        self.assertEqual(asked.read().data, CONTENT[5:15])

    def test_unsatisfiable(self) -> None:
        """
        A range beyond the end is refused with the size of the object.
        """
        asked = self.ask(b"/b/dir/k.txt", (b"Range", b"bytes=100-"))
        self.assertEqual(asked.answer.head.get(b"content-range"), b"bytes */100")
        self.assert_refused(asked, 416, "InvalidRange")
        self.write("empty", b"")
        asked = self.ask(b"/b/empty", (b"Range", b"bytes=0-"))
        self.assert_refused(asked, 416, "InvalidRange")
        self.assert_closed()

    def test_conditions(self) -> None:
        """
        The object's own ETag revalidates it; another one fails a precondition.
        """
        etag = self.ask(method=b"HEAD").answer.head.get(b"etag") or b""
        asked = self.ask(b"/b/dir/k.txt", (b"If-None-Match", etag))
        head = asked.answer.head
        self.assertEqual((head.status, head.get(b"etag")), (304, etag))
        self.assertIsNotNone(head.get(b"last-modified"))
        self.assertEqual(asked.read().ends, [None])
        asked = self.ask(b"/b/dir/k.txt", (b"If-Match", b'"x"'))
        self.assert_refused(asked, 412, "PreconditionFailed")
        self.assert_closed()

    def test_etag_changes(self) -> None:
        """
        Other content in place of the same name has another ETag, also when size and
        time are the same.
        """
        before = self.ask(method=b"HEAD").answer.head.get(b"etag")
        os.replace(self.write("new", CONTENT[::-1]), self.file)  # noqa: PTH105 - as it is
        self.assertNotEqual(self.ask(method=b"HEAD").answer.head.get(b"etag"), before)

    def test_empty(self) -> None:
        """
        An empty object has an empty body.
        """
        self.write("empty", b"")
        asked = self.ask(b"/b/empty")
        self.assertEqual(asked.answer.head.get(b"content-length"), b"0")
        self.assertEqual(asked.read().ends, [None])
        self.assert_closed()

    def test_types(self) -> None:
        """
        The type follows from the name; a compressed file is one of bytes, not of what
        is in it.
        """
        for name, kind in (
            ("a.json", b"application/json"),
            ("a.tar.gz", b"application/octet-stream"),
            ("a", b"application/octet-stream"),
        ):
            self.write(name, b"x")
            asked = self.ask(b"/b/" + name.encode(), method=b"HEAD")
            self.assertEqual(asked.answer.head.get(b"content-type"), kind)

    def test_targets(self) -> None:
        """
        Keys are percent-decoded; absolute targets and signatures in the query are
        understood.
        """
        self.write("a b+c\xe9", b"odd")
        for target in (
            b"/b/a%20b+c%C3%A9",
            b"http://host:80/b/a%20b%2Bc%C3%A9?x-id=GetObject",
            b"/%62/%61 b+c%c3%a9?X-Amz-Signature=x",
        ):
            self.assertEqual(self.ask(target).read().data, b"odd", target)


class RefusalTests(LocalTestCase):
    """
    What is no object is refused in the terms of S3.
    """

    def test_missing(self) -> None:
        """
        A missing key and a missing bucket are told apart.
        """
        for target in (b"/b/none", b"/b/dir/k.txt/x", b"/b/dir", b"/b/" + b"x" * 300):
            self.assert_refused(self.ask(target), 404, "NoSuchKey")
        for target in (b"/none/k", b"/", b"/none", b"/b%2Fdir/k.txt", b"//k"):
            code = "NotImplemented" if target == b"/" else "NoSuchBucket"
            status = 501 if target == b"/" else 404
            self.assert_refused(self.ask(target), status, code)
        self.assert_closed()

    def test_traversal(self) -> None:
        """
        Nothing outside the root is reachable, and nothing under a second name.
        """
        (self.outside / "secret").write_bytes(b"secret")
        (self.root / "b" / "out").symlink_to(self.outside.resolve())
        (self.root / "b" / "in").symlink_to("dir/k.txt")
        (self.root / "b" / "loop").symlink_to("loop")
        (self.root / "away").symlink_to(self.outside.resolve())
        for target in (
            b"/b/../../secret",
            b"/b/%2e%2e/%2e%2e/secret",
            b"/b/..%2f..%2fsecret",
            b"/b/out/secret",
            b"/b/loop",
            b"/b//dir/k.txt",
            b"/b/./dir/k.txt",
            b"/b/dir/../dir/k.txt",
            b"/b/dir//k.txt",
            b"/b/dir/k.txt/",
            b"/b/dir/k.txt%00",
            b"/b//" + str(self.file.resolve()).encode(),
        ):
            self.assert_refused(self.ask(target), 404, "NoSuchKey")
        for target in (b"/../secret", b"/away/secret", b"/%2e/b", b"/b%00/k"):
            asked = self.ask(target)
            self.assertEqual(asked.answer.head.status, 404, target)
            asked.answer.abort()
        self.assertEqual(self.ask(b"/b/in").read().data, CONTENT)
        self.assert_closed()

    def test_not_regular(self) -> None:
        """
        A FIFO is no object, and nobody waits for it.
        """
        os.mkfifo(self.root / "b" / "fifo")
        self.assert_refused(self.ask(b"/b/fifo"), 404, "NoSuchKey")
        self.assert_closed()

    def test_errors_of_the_disk(self) -> None:
        """
        A file that may not be read is forbidden; a disk that fails is unavailable, and
        so is a root that is gone.
        """

        def refuse(number: int) -> None:
            def failing(*args: object) -> int:
                raise OSError(number, "failed")

            self.patch(os, "open", failing)

        refuse(errno.EACCES)
        self.assert_refused(self.ask(), 403, "AccessDenied")
        refuse(errno.EIO)
        self.assertIsInstance(self.ask().errors[0], OriginUnavailable)
        self.root.rename(self.outside / "elsewhere")
        (error,) = self.ask().errors
        self.assertIsInstance(error, OriginUnavailable)
        self.assertNotIn(str(self.root), str(error))

    def test_methods(self) -> None:
        """
        Writing is refused after the body has been read to its end.
        """
        source = Source()
        asked = self.ask(method=b"PUT", body=source)
        source.write(b"x" * 100)
        self.assertEqual(asked.answers, [])
        source.finished()
        self.assert_refused(asked, 405, "MethodNotAllowed")
        self.assert_refused(self.ask(method=b"DELETE"), 405, "MethodNotAllowed")

    def test_broken_body(self) -> None:
        """
        A request body that breaks off fails the request; a cancelled request stops it.
        """
        source = Source()
        asked = self.ask(method=b"PUT", body=source)
        source.failed()
        self.assertIsInstance(asked.errors[0], OriginUnavailable)
        source = Source()
        asked = self.ask(method=b"PUT", body=source)
        asked.deferred.cancel()
        self.assertIsInstance(asked.errors[0], CancelledError)
        self.assertEqual(source.calls, ["start", "stop"])

    def test_expect(self) -> None:
        """
        A client that asks before it sends a body is answered at once.
        """
        source = Source()
        expect = (b"Expect", b"100-continue")
        asked = self.ask(b"/b/k", expect, method=b"PUT", body=source)
        self.assert_refused(asked, 405, "MethodNotAllowed")
        self.assertEqual(source.calls, ["stop"])

    def test_buckets(self) -> None:
        """
        A bucket exists or does not; lists and subresources are not implemented.
        """
        asked = self.ask(b"/b", method=b"HEAD")
        self.assertEqual(asked.answer.head.status, 200)
        self.assertEqual(asked.read().ends, [None])
        asked = self.ask(b"/none", method=b"HEAD")
        self.assertEqual(asked.answer.head.status, 404)
        self.assertEqual(asked.read().data, b"")
        for target in (b"/b", b"/b/", b"/b?list-type=2", b"/b/dir/k.txt?acl"):
            self.assert_refused(self.ask(target), 501, "NotImplemented")

    def test_error_is_xml(self) -> None:
        """
        Whatever the key, the error is well-formed.
        """
        asked = self.ask(b"/b/<&>\xff]]>?x=<")
        self.assert_refused(asked, 404, "NoSuchKey")
