"""
What rights a request takes, told from its head alone.

Whatever is not known to be a plain read, list or write takes full access: a node's own
rights may be wide, and an operation that nobody thought of must not borrow them.
"""

from urllib.parse import unquote_plus, unquote_to_bytes

from eliop2p.base.clients import Access, Client, is_bucket_name
from eliop2p.http1.message import RequestHead
from eliop2p.signing.query import pairs_of, values_of
from eliop2p.signing.refusal import access_denied
from eliop2p.signing.resource import Resource, path_style

_READ_KEYS = frozenset(
    (
        *(b"versionId", b"partNumber", b"x-id", b"tagging", b"attributes"),
        *(b"uploadId", b"max-parts", b"part-number-marker", b"encoding-type"),
        *(b"select", b"select-type", b"objectMeta", b"x-oss-traffic-limit"),
        *(b"response-content-type", b"response-content-language"),
        *(b"response-expires", b"response-cache-control"),
        *(b"response-content-disposition", b"response-content-encoding"),
    )
)

_WRITE_KEYS = frozenset(
    (
        *(b"versionId", b"partNumber", b"x-id", b"tagging", b"uploads", b"uploadId"),
        *(b"append", b"position", b"sequential", b"encoding-type"),
        b"x-oss-traffic-limit",
    )
)

_LIST_KEYS = frozenset(
    (
        *(b"list-type", b"prefix", b"delimiter", b"marker", b"max-keys", b"x-id"),
        *(b"continuation-token", b"start-after", b"fetch-owner", b"encoding-type"),
        *(b"versions", b"key-marker", b"version-id-marker"),
        *(b"uploads", b"upload-id-marker", b"max-uploads"),
    )
)

_ABOUT_BUCKET = frozenset((b"location", b"versioning", b"bucketInfo"))
"""
What whoever may use part of a bucket may ask of the bucket.
"""

_BUCKET_LIST_KEYS = frozenset(
    (
        *(b"x-id", b"max-buckets", b"prefix", b"continuation-token"),
        *(b"bucket-region", b"marker", b"max-keys"),
    )
)

_CHECKSUMS = (b"x-amz-checksum-", b"x-amz-sdk-checksum-algorithm")
"""
How parameters begin that SDKs make of headers in presigned URLs, and that only ask for
a checksum or give one.
"""

_PROCESS = b"x-oss-process"

_COPY_SOURCES = (b"x-amz-copy-source", b"x-oss-copy-source")

_POWERFUL = (
    *(b"x-amz-grant-", b"x-amz-object-lock-", b"x-amz-bypass-governance-retention"),
    *(b"x-oss-callback", b"x-oss-object-worm-", b"x-oss-symlink-target"),
)
"""
Headers that do more than write an object.
"""

_ACLS = (b"x-amz-acl", b"x-oss-object-acl", b"x-oss-acl")
_HARMLESS_ACLS = (b"private", b"bucket-owner-full-control", b"default")


def _is_powerful(head: RequestHead) -> bool:
    for name, value in head.headers:
        lowered = name.lower()
        if lowered.startswith(_POWERFUL):
            return True
        if lowered in _ACLS and value not in _HARMLESS_ACLS:
            return True
    return False


def _object_access(head: RequestHead, keys: frozenset[bytes]) -> Access:
    reads = head.method in (b"GET", b"HEAD")
    selects = head.method == b"POST" and b"select" in keys
    if reads or selects:
        return Access.READ if keys <= _READ_KEYS | {_PROCESS} else Access.FULL
    writes = head.method in (b"PUT", b"POST", b"DELETE")
    plain = writes and keys <= _WRITE_KEYS and not _is_powerful(head)
    return Access.WRITE if plain else Access.FULL


def _may_object(client: Client, head: RequestHead, resource: Resource) -> bool:
    keys = frozenset(
        key
        for key in values_of(pairs_of(head.target))
        if not key.lower().startswith(_CHECKSUMS)
    )
    access = _object_access(head, keys)
    if not client.may(access, resource.bucket, resource.key):
        return False
    # What is processed may draw in other objects of the bucket.
    return _PROCESS not in keys or client.may(access, resource.bucket, b"")


def _may_copy(client: Client, head: RequestHead) -> bool:
    """
    Tell whether a client may read what it wants copied.
    """
    for name in _COPY_SOURCES:
        for value in head.get_all(name):
            source = path_style(b"/" + value.lstrip(b"/"))
            if not (is_bucket_name(source.bucket) and source.key):
                return False
            if not client.may(Access.READ, source.bucket, source.key):
                return False
    return True


def _prefixes(values: dict[bytes, list[bytes]], raw: list[bytes]) -> set[bytes]:
    """
    Give every prefix that a store might understand: some take ``+`` for a space.
    """
    spaced = {
        unquote_plus(text.decode("latin-1"), "latin-1").encode("latin-1")
        for text in raw
    }
    return set(values.get(b"prefix", [b""])) | spaced


def _may_bucket(client: Client, head: RequestHead, bucket: bytes) -> bool:
    pairs = pairs_of(head.target)
    values = values_of(pairs)
    keys = frozenset(values)
    if head.method == b"HEAD" and not keys:
        return client.knows(bucket)
    asked = keys - {b"x-id"}
    if head.method == b"GET" and asked and asked <= _ABOUT_BUCKET:
        return client.knows(bucket)
    if head.method == b"GET" and keys <= _LIST_KEYS:
        raw = [value for name, value in pairs if unquote_to_bytes(name) == b"prefix"]
        return all(
            client.may(Access.READ, bucket, prefix) for prefix in _prefixes(values, raw)
        )
    deletes = head.method == b"POST" and keys == {b"delete"}
    # Which objects are to be deleted stands in the body.
    access = Access.WRITE if deletes else Access.FULL
    return client.may(access, bucket, b"")


def _may_service(client: Client, head: RequestHead) -> bool:
    anywhere = client.may(Access.READ, b"*", b"")
    keys = frozenset(values_of(pairs_of(head.target)))
    plain = head.method == b"GET" and keys <= _BUCKET_LIST_KEYS
    return anywhere and (plain or client.may(Access.FULL, b"*", b""))


def check_rights(client: Client, head: RequestHead, resource: Resource) -> None:
    """
    See to it that a client may do what it asks for.

    Args:
        client: Who asks.
        head: The request, without what belonged to the signature.
        resource: What it is about.

    Raises:
        Refused: It may not.
    """
    if not resource.bucket:
        allowed = not resource.key and _may_service(client, head)
    elif not is_bucket_name(resource.bucket):
        allowed = False
    elif resource.key:
        allowed = _may_object(client, head, resource) and _may_copy(client, head)
    else:
        allowed = _may_bucket(client, head, resource.bucket)
    if not allowed:
        raise access_denied()
