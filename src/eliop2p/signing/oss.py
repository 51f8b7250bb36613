"""
Alibaba OSS signatures, V1, V2 and V4, computed by oss2's signers.

The only module that knows oss2's. Its public methods sign for the time at which they
are called; the private ones below them sign what they are given, which is what checking
a client's signature takes. Their names hold for the version that ``pyproject.toml``
pins.
"""

from enum import Enum

import attrs
from oss2.auth import ProviderAuth, ProviderAuthV2, ProviderAuthV4
from oss2.credentials import Credentials

from eliop2p.base.secret import Secret

ALGORITHM = "OSS4-HMAC-SHA256"
PRODUCT = "oss"
TERMINATOR = "aliyun_v4_request"
UNSIGNED = "UNSIGNED-PAYLOAD"


class Version(Enum):
    """
    The kinds of signature.
    """

    V1 = 1
    V2 = 2
    V4 = 4


_SIGNERS = {
    Version.V1: (ProviderAuth, ()),
    Version.V2: (ProviderAuthV2, ("additional",)),
    Version.V4: (ProviderAuthV4, ("additional", "timestamp")),
}
"""
The signer of each kind, and what it takes beyond request and credentials.
"""


@attrs.frozen
class Signed:
    """
    The parts of a request that a signature covers, as oss2 names them.

    Attributes:
        method: GET and so on.
        headers: By name in lower case. In a URL, ``date`` is when it expires (V1, V2).
        params: The decoded query without the signature and, for V1, without the
            parameters that come with it.
        bucket: Its name; empty for the store as a whole.
        key: Of the object; empty for the bucket as a whole.
        additional: Names of headers that the client signs beyond the usual ones.
        timestamp: When it was signed; V4 only.
        region: The region of the scope; V4 only.
    """

    method: str
    headers: dict[str, str]
    params: dict[str, str]
    bucket: str
    key: str
    additional: list[str] = attrs.field(factory=list)
    timestamp: str = ""
    region: str = ""
    product: str = PRODUCT
    cloudbox_id: None = None

    @property
    def scope(self) -> str:
        """
        What stands behind the access key in a V4 credential.
        """
        return f"{self.timestamp[:8]}/{self.region}/{PRODUCT}/{TERMINATOR}"


def sign(version: Version, secret: Secret, request: Signed) -> str:
    """
    Sign a request.

    Returns:
        The signature: in base64 for V1 and V2, in hexadecimal digits for V4.
    """
    credentials = Credentials("unused", secret.reveal())
    signer, more = _SIGNERS[version]
    make = getattr(signer(None), f"_{signer.__name__}__make_signature")
    arguments = [getattr(request, name) for name in more]
    parts = request.bucket, request.key, *arguments[:1]
    signature: str = make(request, *parts, credentials, *arguments[1:])
    return signature
