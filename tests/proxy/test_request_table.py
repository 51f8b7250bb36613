"""
The table of which requests go through the cache, see :mod:`eliop2p.proxy.request`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import Header, RequestHead
from eliop2p.model.chunk import ObjectKey
from eliop2p.model.store import Place, StoreAddress
from eliop2p.proxy.request import ReadObject, Relay, classify

STORE = b"http://store:9000"
PATH_STYLE = Place(StoreAddress(STORE), "")
VIRTUAL = Place(StoreAddress(STORE), "bkt")

V4 = (
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&X-Amz-Date=d"
    b"&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
)
V2 = b"AWSAccessKeyId=a&Expires=1&Signature=s"
OSS = b"OSSAccessKeyId=a&Expires=1&Signature=s"
OSS_V4 = (
    b"x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date=d&x-oss-expires=60"
    b"&x-oss-credential=c&x-oss-signature=0"
)

CACHED: tuple[tuple[bytes, tuple[Header, ...]], ...] = (
    (b"", ()),
    (b"x-id=GetObject", ()),
    *((query, ()) for query in (V4, V2, OSS, OSS_V4)),
    (V4 + b"&x-id=GetObject", ((b"Range", b"bytes=0-9"),)),
    (b"versionId=v1", ()),
    *(
        (b"", (header,))
        for header in (
            (b"Range", b"bytes=0-9"),
            (b"Range", b"bytes=5-"),
            (b"Range", b"bytes=-5"),
            (b"If-Match", b'"e"'),
            (b"If-Match", b"e"),
            (b"If-Unmodified-Since", b"d"),
            (b"x-amz-request-payer", b"requester"),
            (b"x-amz-checksum-mode", b"ENABLED"),
            (b"x-amz-security-token", b"t"),
            (b"Content-Length", b"0"),
            (b"Accept-Encoding", b"gzip"),
        )
    ),
)
"""
Queries and headers of GETs of an object that are answered through the cache.
"""

RELAYED: tuple[tuple[bytes, tuple[Header, ...]], ...] = (
    *(
        (query, ())
        for query in (
            *(b"acl", b"tagging", b"torrent", b"retention", b"legal-hold"),
            *(b"attributes", b"uploads", b"uploadId=u", b"partNumber=1", b"cors"),
            *(b"policy", b"location", b"list-type=2", b"versions", b"restore"),
            *(b"response-content-type=a", b"response-cache-control=b"),
            *(b"x-oss-process=image/resize,w_1", b"symlink", b"objectMeta"),
            *(b"select&select-type=2", b"versionId=", b"versionId=a&versionId=b"),
            *(b"x-id=HeadObject", b"unknown", b"unknown=1", V4 + b"&unknown=1"),
        )
    ),
    *(
        (b"", (header,))
        for header in (
            *((b"Range", b"bytes=0-0,2-3"), (b"Range", b"bytes=5-2")),
            *((b"Range", b"bytes=-0"), (b"Range", b"items=0-9"), (b"Range", b"x")),
            *((b"If-None-Match", b'"e"'), (b"If-Modified-Since", b"d")),
            (b"If-Range", b'"e"'),
            *((b"If-Match", b"*"), (b"If-Match", b'W/"e"'), (b"If-Match", b"")),
            (b"If-Match", b'"e", "f"'),
            (b"Origin", b"http://page"),
            (b"x-amz-server-side-encryption-customer-algorithm", b"AES256"),
            (b"x-amz-server-side-encryption-customer-key", b"k"),
            *((b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")),
        )
    ),
)
"""
Those that are for the store alone.
"""


def get(path: bytes, query: bytes, headers: tuple[Header, ...] = ()) -> RequestHead:
    """
    Make a GET.
    """
    target = path + b"?" + query if query else path
    return RequestHead(b"GET", target, ((b"Host", b"h"), *headers))


class TableTests(SynchronousTestCase):
    """
    Row by row.
    """

    def test_cached(self) -> None:
        """
        Plain reads go through the cache, in path style and in virtual-host style.
        """
        for query, headers in CACHED:
            for path, place in ((b"/bkt/k", PATH_STYLE), (b"/k", VIRTUAL)):
                plan = classify(get(path, query, headers), place)
                self.assertIsInstance(plan, ReadObject, (query, headers))
                assert isinstance(plan, ReadObject)
                version = b"v1" if query.startswith(b"versionId") else b""
                self.assertEqual(plan.key, ObjectKey(STORE, b"bkt", b"k", version))

    def test_relayed(self) -> None:
        """
        All other reads are relayed, unheard-of query keys among them.
        """
        for query, headers in RELAYED:
            for path, place in ((b"/bkt/k", PATH_STYLE), (b"/k", VIRTUAL)):
                plan = classify(get(path, query, headers), place)
                self.assertEqual(plan, Relay(), (query, headers))

    def test_no_object(self) -> None:
        """
        What names no object is relayed: services, buckets, and paths of which stores
        make different things.
        """
        for path in (b"/", b"/bkt", b"/bkt/", b"//bkt/k", b"*"):
            self.assertEqual(classify(get(path, b""), PATH_STYLE), Relay(), path)
        self.assertEqual(classify(get(b"/", b""), VIRTUAL), Relay())

    def test_methods(self) -> None:
        """
        HEAD and OPTIONS are relayed; every other method may change the object that it
        names.
        """
        options = RequestHead(b"OPTIONS", b"/bkt/k")
        self.assertEqual(classify(options, PATH_STYLE), Relay())
        key = ObjectKey(STORE, b"bkt", b"k")
        plan = classify(RequestHead(b"HEAD", b"/bkt/k"), PATH_STYLE)
        self.assertEqual(plan, Relay(shows=key))
        for method in (b"PUT", b"POST", b"DELETE", b"PATCH", b"get"):
            head = RequestHead(method, b"/bkt/k?uploadId=u")
            self.assertEqual(classify(head, PATH_STYLE), Relay(key), method)

    def test_head(self) -> None:
        """
        The answer to a HEAD describes an object, unless it is asked for a part of it,
        or for something else.
        """
        version = ObjectKey(STORE, b"bkt", b"k", b"v1")
        plan = classify(RequestHead(b"HEAD", b"/bkt/k?versionId=v1"), PATH_STYLE)
        self.assertEqual(plan, Relay(shows=version))
        ranged = RequestHead(b"HEAD", b"/bkt/k", ((b"Range", b"bytes=0-9"),))
        self.assertEqual(classify(ranged, PATH_STYLE), Relay())
        for target in (b"/bkt", b"/", b"/bkt/k?partNumber=1", b"/bkt/k?acl"):
            plan = classify(RequestHead(b"HEAD", target), PATH_STYLE)
            self.assertEqual(plan, Relay(), target)
