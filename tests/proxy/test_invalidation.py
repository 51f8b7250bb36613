"""
Writes that pass through a node: the next read tells the truth, through every node.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.proxy.request import record_ids
from eliop2p.testing.cluster import Cluster, Plan
from eliop2p.testing.simclient import Answer
from eliop2p.testing.simfaults import NO_FAULT, Fault
from eliop2p.testing.simstore import Asked, SimStore, StoredObject
from tests.proxy.test_service import KEY, ServiceCase
from tests.proxy.wires import request as head_of
from tests.simulation.cases import always

PATH, OTHER = b"/bucket/key", b"/bucket/other"
OLD, NEW = b"old" * 50_000, b"new!" * 40_000
UPLOAD = b"uploadId=u1"


class WritableStore(SimStore):
    """
    A store that can be written to in every way that S3 knows.

    Attributes:
        parts: Of the one upload under way.
    """

    parts: dict[int, bytes]

    def ask(self, head: RequestHead, body: bytes) -> tuple[Asked, ResponseHead]:
        """
        Do what is asked; reads, and a PUT of a whole object, are those of SimStore.
        """
        path, _, query = head.target.partition(b"?")
        names = {
            name: values[0]
            for name, values in parse_qs(query.decode(), keep_blank_values=True).items()
        }
        write = self._writer(head, path, names)
        if write is None:
            return super().ask(head, body)
        asked = Asked(head, self._clock.seconds())
        self.log.append(asked)
        asked.fault = self.choose(asked)
        asked.status, asked.payload = write(body)
        length = (b"Content-Length", b"%d" % len(asked.payload))
        headers = () if asked.status == 204 else (length,)
        return asked, ResponseHead(asked.status, b"Done", headers)

    def _writer(
        self, head: RequestHead, path: bytes, names: dict[str, str]
    ) -> Callable[[bytes], tuple[int, bytes]] | None:
        source = head.get(b"x-amz-copy-source")
        writers: tuple[tuple[bool, Callable[[bytes], tuple[int, bytes]]], ...] = (
            (source is not None, lambda _: self._copy(source or b"", path)),
            (
                head.method == b"PUT" and "partNumber" in names,
                lambda body: self._part(int(names["partNumber"]), body),
            ),
            ("delete" in names, lambda body: self._delete_many(path, body)),
            ("uploads" in names, lambda _: self._begin()),
            (
                head.method == b"POST" and "uploadId" in names,
                lambda _: self._complete(path),
            ),
            (head.method == b"DELETE", lambda _: self._delete(path)),
        )
        return next((writer for meant, writer in writers if meant), None)

    def _copy(self, source: bytes, path: bytes) -> tuple[int, bytes]:
        self.put(path, self._objects[source].data)
        return 200, b"<CopyObjectResult/>"

    def _begin(self) -> tuple[int, bytes]:
        self.parts = {}
        return 200, b"<UploadId>u1</UploadId>"

    def _part(self, number: int, body: bytes) -> tuple[int, bytes]:
        self.parts[number] = body
        return 200, b""

    def _complete(self, path: bytes) -> tuple[int, bytes]:
        data = b"".join(self.parts[number] for number in sorted(self.parts))
        self.put(path, data)
        modified = self._objects[path].modified
        self._objects[path] = StoredObject(data, b'"of-parts-2"', modified)
        return 200, b"<CompleteMultipartUploadResult/>"

    def _delete(self, path: bytes) -> tuple[int, bytes]:
        self._objects.pop(path, None)
        return 204, b""

    def _delete_many(self, bucket: bytes, body: bytes) -> tuple[int, bytes]:
        for name in body.split(b"<Key>")[1:]:
            self._delete(bucket + b"/" + name.partition(b"<")[0])
        return 200, b"<DeleteResult/>"


class InvalidationTests(SynchronousTestCase):
    """
    Three nodes that have all read an object, and a write through one of them.
    """

    def setUp(self) -> None:
        """
        Start the cluster and read an object through each node.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        self.cluster = Cluster(directory, Plan(seed=7, disk=64 * 1024 * 1024))
        self.cluster.stop_store()
        self.cluster.store = self.store = WritableStore(self.cluster.clock)
        self.cluster.start_store()
        self.cluster.start()
        self.addCleanup(self.cluster.stop)
        self.store.put(PATH, OLD)
        self.store.put(OTHER, NEW)
        self.assert_reads(OLD)
        # So that what is written next has another Last-Modified.
        self.cluster.pass_time(2.0)

    def write(
        self, method: bytes, path: bytes, *headers: Header, body: bytes = b""
    ) -> Answer:
        """
        Send a request through the first node.
        """
        member = self.cluster.members[0]
        sent = self.cluster.get(member, path, *headers, method=method, body=body)
        answer = self.cluster.wait(sent)
        self.assertLess(answer.status, 300)
        return answer

    def assert_reads(self, data: bytes | None) -> None:
        """
        Read the object through every node, twice, whole and in part.

        Args:
            data: What must come; None when the object is gone.
        """
        part = (b"Range", b"bytes=10-99999")
        for _ in range(2):
            for member in self.cluster.members:
                whole = self.cluster.wait(self.cluster.get(member, PATH))
                ranged = self.cluster.wait(self.cluster.get(member, PATH, part))
                if data is None:
                    self.assertEqual((whole.status, ranged.status), (404, 404))
                    continue
                self.assertEqual((whole.status, ranged.status), (200, 206))
                self.assertTrue(whole.complete)
                self.assertTrue(ranged.complete)
                self.assertTrue(whole.body == data, "the bytes are wrong")
                self.assertTrue(ranged.body == data[10:100_000], "the part is wrong")

    def asked_anew(self) -> bool:
        """
        Read through the node that was written through, and tell whether it asked the
        store as if it knew nothing of the object.
        """
        before = len(self.store.log)
        self.cluster.wait(self.cluster.get(self.cluster.members[0], PATH))
        return self.store.log[before].head.get(b"if-none-match") is None

    def test_believed(self) -> None:
        """
        Without a write, an object that was read is asked for on condition.
        """
        self.assertFalse(self.asked_anew())

    def test_put(self) -> None:
        """
        An object that was overwritten.
        """
        self.write(b"PUT", PATH, body=NEW)
        self.assertTrue(self.asked_anew())
        self.assert_reads(NEW)

    def test_put_the_same(self) -> None:
        """
        An object that was overwritten with itself.
        """
        self.write(b"PUT", PATH, body=OLD)
        self.assertTrue(self.asked_anew())
        self.assert_reads(OLD)

    def test_copy(self) -> None:
        """
        An object that another was copied over.
        """
        self.write(b"PUT", PATH, (b"x-amz-copy-source", OTHER))
        self.assertTrue(self.asked_anew())
        self.assert_reads(NEW)

    def test_delete(self) -> None:
        """
        An object that was deleted, and written again.
        """
        self.write(b"DELETE", PATH)
        self.assertTrue(self.asked_anew())
        self.assert_reads(None)
        self.write(b"PUT", PATH, body=NEW)
        self.assert_reads(NEW)

    def test_delete_many(self) -> None:
        """
        Objects that were deleted together: which ones stands in the body alone, so
        that the store's answer to the condition is what tells.
        """
        body = b"<Delete><Object><Key>key</Key></Object></Delete>"
        self.write(b"POST", b"/bucket?delete", body=body)
        self.assertFalse(self.asked_anew())
        self.assert_reads(None)

    def test_multipart(self) -> None:
        """
        An object that was uploaded in parts is the old one until the upload is
        complete.
        """
        self.write(b"POST", PATH + b"?uploads")
        half = len(NEW) // 2
        for number, part in ((1, NEW[:half]), (2, NEW[half:])):
            target = PATH + b"?partNumber=%d&%s" % (number, UPLOAD)
            self.write(b"PUT", target, body=part)
        self.assert_reads(OLD)
        self.write(b"POST", PATH + b"?" + UPLOAD, body=b"<CompleteMultipartUpload/>")
        self.assertTrue(self.asked_anew())
        self.assert_reads(NEW)

    def head(self) -> Answer:
        """
        HEAD the object through the first node.
        """
        member = self.cluster.members[0]
        return self.cluster.wait(self.cluster.get(member, PATH, method=b"HEAD"))

    def test_head(self) -> None:
        """
        A HEAD that shows what is known is no reason to ask anew.
        """
        self.assertEqual(self.head().status, 200)
        self.assertFalse(self.asked_anew())

    def test_head_shows_another(self) -> None:
        """
        An object that a HEAD shows to be another, or gone, behind the nodes' backs is
        asked for anew.
        """
        for data in (NEW, OLD[1:], bytes(len(OLD))):
            self.store.put(PATH, data)
            self.assertEqual(self.head().status, 200)
            self.assertTrue(self.asked_anew())
            self.assert_reads(data)
        self.store.ask(RequestHead(b"DELETE", PATH), b"")
        self.assertEqual(self.head().status, 404)
        self.assertTrue(self.asked_anew())
        self.assert_reads(None)

    def test_head_refused(self) -> None:
        """
        A HEAD that the store refuses, or fails at, shows nothing.
        """
        for status in (403, 304, 412, 500, 503):
            self.store.choose = always(Fault(status=status))
            self.assertEqual(self.head().status, status)
            self.store.choose = always(NO_FAULT)
            self.assertFalse(self.asked_anew(), status)

    def test_answer_lost(self) -> None:
        """
        A write that was done, whether or not its answer came before the connection
        broke, or said something else.
        """
        for fault in (Fault(status=500), Fault(reset=0)):
            self.store.put(PATH, OLD)
            self.assert_reads(OLD)
            self.write_badly(fault)
            self.assertTrue(self.asked_anew())
            self.assert_reads(NEW)

    def write_badly(self, fault: Fault) -> None:
        """
        Overwrite the object; the answer to that does not say so.
        """

        def choose(asked: Asked) -> Fault:
            if asked.head.method != b"PUT":
                return NO_FAULT
            self.store.put(PATH, NEW)
            return fault

        self.store.choose = choose
        member = self.cluster.members[0]
        sent = self.cluster.get(member, PATH, method=b"PUT", body=NEW)
        self.assertIn(self.cluster.wait(sent).status, (0, 200, 500, 502, 503))
        self.store.choose = lambda _: NO_FAULT


class DoubtTests(ServiceCase):
    """
    Writes of which nobody knows whether they were done.
    """

    def put(self) -> None:
        """
        Send a PUT.
        """
        length = (b"Content-Length", b"0")
        self.wire.say(head_of(b"/b/k", length, method=b"PUT"))

    def test_client_gone(self) -> None:
        """
        A write whose client did not wait for the answer makes the object doubtful.
        """
        self.put()
        self.assertEqual(self.told.forgotten, [])
        self.wire.hang_up()
        self.assertEqual(self.told.forgotten, list(record_ids(KEY)))

    def test_failed_in_the_store(self) -> None:
        """
        So does one that the store says it has failed at.
        """
        self.put()
        self.answer(500, (b"Content-Length", b"0")).end()
        self.assertEqual(self.told.forgotten, list(record_ids(KEY)))

    def test_of_a_bucket(self) -> None:
        """
        Of what is written to a bucket no object can be told; nothing is forgotten.
        """
        length = (b"Content-Length", b"0")
        self.wire.say(head_of(b"/b?delete", length, method=b"POST"))
        self.answer(200, length).end()
        self.assertEqual(self.told.forgotten, [])
