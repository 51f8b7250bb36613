"""
Tests for :mod:`eliop2p.signing.needs`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.clients import Access, Client, Rule
from eliop2p.base.secret import Secret
from eliop2p.http1.message import Header, RequestHead
from eliop2p.signing.needs import check_rights
from eliop2p.signing.refusal import Refused
from eliop2p.signing.resource import path_style

READ = Rule(Access.READ, b"b", b"p/")
WRITE = Rule(Access.WRITE, b"b", b"p/")
READ_ALL = Rule(Access.READ, b"b")
WRITE_ALL = Rule(Access.WRITE, b"b")
FULL = Rule(Access.FULL, b"b")
ANYWHERE = Rule(Access.READ, b"*")
EVERYTHING = Rule(Access.FULL, b"*")
LADDER = (READ, WRITE, READ_ALL, WRITE_ALL, FULL, ANYWHERE, EVERYTHING)

ALL = frozenset(LADDER)
WRITERS = frozenset((WRITE, WRITE_ALL, FULL, EVERYTHING))
WHOLE = frozenset((READ_ALL, WRITE_ALL, FULL, ANYWHERE, EVERYTHING))
FULLS = frozenset((FULL, EVERYTHING))
STARS = frozenset((ANYWHERE, EVERYTHING))
TABLE: tuple[tuple[str, tuple[Header, ...], frozenset[Rule]], ...] = (
    # Objects.
    ("GET /b/p/k", (), ALL),
    ("HEAD /b/p/k?partNumber=1&versionId=v", (), ALL),
    ("GET /b/p/k?response-content-type=a&x-id=GetObject", (), ALL),
    ("GET /b/p/k?tagging", (), ALL),
    ("GET /b/p/k?x-amz-checksum-mode=ENABLED", (), ALL),
    ("PUT /b/p/k?X-Amz-Sdk-Checksum-Algorithm=CRC32", (), WRITERS),
    ("PUT /b/p/k?x-amz-acl=public-read", (), FULLS),
    ("PUT /b/p/k?x-amz-copy-source=b/q", (), FULLS),
    ("GET /b/p/k?uploadId=1", (), ALL),
    ("GET /b/p/k?acl", (), FULLS),
    ("GET /b/p/k?something-new", (), FULLS),
    ("GET /b/p/k?x-oss-process=image", (), WHOLE),
    ("GET /b/q/k", (), WHOLE),
    ("GET /b/p", (), WHOLE),
    ("GET /b/%70/k", (), ALL),
    ("GET /b/p/%2E%2E/k", (), WHOLE),
    ("GET /c/p/k", (), STARS),
    ("PUT /b/p/k", (), WRITERS),
    ("PUT /b/p/k?partNumber=1&uploadId=1", (), WRITERS),
    ("PUT /b/p/k?tagging", (), WRITERS),
    ("PUT /b/p/k?acl", (), FULLS),
    ("PUT /b/p/k?retention", (), FULLS),
    ("PUT /b/p/k?symlink", (), FULLS),
    ("PUT /b/p/k", ((b"x-amz-acl", b"private"),), WRITERS),
    ("PUT /b/p/k", ((b"X-Amz-Acl", b"public-read"),), FULLS),
    ("PUT /b/p/k", ((b"x-amz-grant-read", b"id=1"),), FULLS),
    ("PUT /b/p/k", ((b"x-oss-object-acl", b"public-read"),), FULLS),
    ("PUT /b/p/k", ((b"x-oss-callback", b"e30="),), FULLS),
    ("PUT /b/p/k", ((b"x-amz-object-lock-mode", b"GOVERNANCE"),), FULLS),
    ("POST /b/p/k?uploads", (), WRITERS),
    ("POST /b/p/k?uploadId=1", (), WRITERS),
    ("POST /b/p/k?append&position=0", (), WRITERS),
    ("POST /b/p/k?restore", (), FULLS),
    ("POST /b/p/k?select&select-type=2", (), ALL),
    ("DELETE /b/p/k?versionId=v", (), WRITERS),
    ("DELETE /b/p/k", ((b"x-amz-bypass-governance-retention", b"true"),), FULLS),
    ("OPTIONS /b/p/k", (), FULLS),
    ("PATCH /b/p/k", (), FULLS),
    # Copies.
    ("PUT /b/p/k", ((b"x-amz-copy-source", b"b/p/other"),), WRITERS),
    ("PUT /b/p/k", ((b"x-amz-copy-source", b"/b/p%2Fo?versionId=1"),), WRITERS),
    ("PUT /b/p/k", ((b"x-amz-copy-source", b"b/q"),), WRITERS - {WRITE}),
    ("PUT /b/p/k", ((b"x-oss-copy-source", b"/b/q"),), WRITERS - {WRITE}),
    ("PUT /b/p/k", ((b"x-amz-copy-source", b"c/p/k"),), frozenset((EVERYTHING,))),
    ("PUT /b/p/k", ((b"x-amz-copy-source", b"arn:aws:s3:::b/p/k"),), frozenset()),
    ("PUT /b/p/k", ((b"x-amz-copy-source", b"b"),), frozenset()),
    # Buckets.
    ("HEAD /b", (), ALL),
    ("GET /b?location", (), ALL),
    ("GET /b?versioning&x-id=GetBucketVersioning", (), ALL),
    ("GET /b?bucketInfo", (), ALL),
    ("GET /b", (), WHOLE),
    ("GET /b?x-id=ListObjects", (), WHOLE),
    ("GET /b?list-type=2&prefix=p/", (), ALL),
    ("GET /b/?prefix=p%2Fsub&delimiter=%2F&encoding-type=url", (), ALL),
    ("GET /b?versions&prefix=p/", (), ALL),
    ("GET /b?uploads&prefix=p/x", (), ALL),
    ("GET /b?prefix=p", (), WHOLE),
    ("GET /b?prefix=p/&prefix=q/", (), WHOLE),
    ("GET /b?prefix=", (), WHOLE),
    ("GET /b?location&prefix=p/", (), FULLS),
    ("GET /b?policy", (), FULLS),
    ("GET /b?list-type=2&prefix=p/&something-new", (), FULLS),
    ("PUT /b", (), FULLS),
    ("PUT /b?policy", (), FULLS),
    ("DELETE /b", (), FULLS),
    ("POST /b", (), FULLS),
    ("POST /b?delete", (), frozenset((WRITE_ALL, FULL, EVERYTHING))),
    # The store, and what is neither.
    ("GET /", (), STARS),
    ("GET /?x-id=ListBuckets", (), STARS),
    ("GET /?something-new", (), frozenset((EVERYTHING,))),
    ("HEAD /", (), frozenset((EVERYTHING,))),
    ("GET //p/k", (), frozenset()),
    ("GET /b%2Fp/p/k", (), frozenset()),
)


def allowed(rule: Rule, request: str, headers: tuple[Header, ...]) -> bool:
    """
    Tell whether a client with one rule may send a request.
    """
    client = Client("a", "AKA", Secret("s"), None, (rule,))
    method, _, target = request.encode().partition(b" ")
    head = RequestHead(method, target, headers)
    refusal = None
    try:
        check_rights(client, head, path_style(target))
    except Refused as error:
        refusal = error.code, error.status
    assert refusal in (None, ("AccessDenied", 403))
    return refusal is None


class NeedsTests(SynchronousTestCase):
    """
    Every kind of request against every kind of rule.
    """

    def test_table(self) -> None:
        """
        A request takes the least right that covers all that it does, and no less.
        """
        for request, headers, expected in TABLE:
            found = {rule for rule in LADDER if allowed(rule, request, headers)}
            self.assertEqual(found, set(expected), (request, headers))

    def test_plus(self) -> None:
        """
        Some stores take a plus for a space: a list must lie within the prefix in both
        readings.
        """
        plus, space = (Rule(Access.READ, b"b", text) for text in (b"a+", b"a "))
        for rule in (plus, space):
            self.assertFalse(allowed(rule, "GET /b?prefix=a+", ()))
        self.assertTrue(allowed(plus, "GET /b?prefix=a%2B", ()))
        self.assertTrue(allowed(space, "GET /b?prefix=a%20", ()))
