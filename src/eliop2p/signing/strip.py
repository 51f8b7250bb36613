"""
Requests without what their clients signed them with.
"""

import attrs

from eliop2p.http1.message import RequestHead
from eliop2p.signing.query import without_pairs

_HEADERS = frozenset(
    (
        *(b"authorization", b"x-amz-date", b"x-amz-security-token", b"date"),
        *(b"x-oss-date", b"x-oss-content-sha256", b"x-oss-security-token"),
    )
)
"""
What belongs to a signature. ``x-amz-content-sha256`` stays: it is about the body.
"""

_PARAMETERS = frozenset(
    (
        *(b"x-amz-algorithm", b"x-amz-credential", b"x-amz-date", b"x-amz-expires"),
        *(b"x-amz-signedheaders", b"x-amz-signature", b"x-amz-security-token"),
        *(b"x-amz-content-sha256", b"awsaccesskeyid", b"expires", b"signature"),
        *(b"ossaccesskeyid", b"security-token", b"x-oss-signature-version"),
        *(b"x-oss-credential", b"x-oss-date", b"x-oss-expires", b"x-oss-signature"),
        *(b"x-oss-additional-headers", b"x-oss-security-token"),
        b"x-oss-access-key-id",
    )
)


def stripped(head: RequestHead) -> RequestHead:
    """
    Leave out what a client signed a request with, in headers and query.
    """
    target = without_pairs(head.target, lambda name: name.lower() in _PARAMETERS)
    return attrs.evolve(head.without(_HEADERS), target=target)
