"""
Requests as stock clients signed them, captured from the socket, and who they know.

boto3 1.44.8, oss2 2.19.1 and alibabacloud-oss-v2 1.4.1 signed them in November 2026.
"""

import json
from pathlib import Path

import attrs

from eliop2p.base.clients import Access, Client, Clients, Rule
from eliop2p.base.secret import Secret
from eliop2p.http1.message import RequestHead
from eliop2p.http1.parse import RequestReader

ACCESS_KEY = "AKVECTOR"
SECRET = "vector/secret+key"
TOKEN = "session+token/"
REGIONS = {"s3": "us-east-1", "oss": "cn-hangzhou"}


@attrs.frozen
class Vector:
    """
    One request.

    Attributes:
        name: Which client, kind of signature and operation.
        store: ``s3`` or ``oss``.
        token: Whether it was signed with a session token.
        seconds: When, in epoch seconds.
        head: The request.
    """

    name: str
    store: str
    token: bool
    seconds: int
    head: RequestHead


def parse(lines: list[str]) -> RequestHead:
    """
    Read a head.
    """
    head = RequestReader().feed("\r\n".join((*lines, "", "")).encode())
    assert head is not None
    return head


def load() -> list[Vector]:
    """
    Read all of them.
    """
    text = Path(__file__).with_name("vectors.json").read_text(encoding="utf-8")
    return [
        Vector(**(item | {"head": parse(item["head"])})) for item in json.loads(text)
    ]


def client(*, token: bool = False, secret: str = SECRET) -> Client:
    """
    Make the client that signed them.
    """
    rules = (Rule(Access.WRITE, b"bkt"),)
    return Client(
        "vector", ACCESS_KEY, Secret(secret), Secret(TOKEN) if token else None, rules
    )


def known(made: Client) -> Clients:
    """
    Know one client.
    """
    return {made.access_key: made}
