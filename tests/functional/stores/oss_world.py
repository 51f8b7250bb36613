"""
What an object store that behaves as Alibaba OSS does has, and who may see it.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import anycrc
import attrs

from tests.functional.stores.oss_signatures import OssError, User

REGION = "cn-hangzhou"
ALICE, BOB, STS = "AKALICE", "AKBOB", "STS.AKTEMP"
SECRETS = {ALICE: "alice+secret/", BOB: "bob+secret/", STS: "sts+secret/"}
TOKEN = "token+of/sts="
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@attrs.frozen
class Stored:
    """
    An object.
    """

    data: bytes
    etag: str
    crc: int
    modified: datetime
    headers: dict[str, str]
    kind: str = "Normal"


@attrs.define
class World:
    """
    What the store holds and who may use it; tests change it behind every node.

    Attributes:
        users: By access key.
        buckets: Objects by key, by bucket.
        public: Buckets that anybody may read.
        ahead: What the store's clock is ahead.
        bytes_sent: Bytes of objects sent so far.
    """

    users: dict[str, User]
    buckets: dict[str, dict[str, Stored]]
    public: set[str] = attrs.field(factory=set)
    ahead: timedelta = timedelta(0)
    uploads: dict[str, dict[int, bytes]] = attrs.field(factory=dict)
    bytes_sent: int = 0

    def now(self) -> datetime:
        """
        Give the store's time.
        """
        return datetime.now(UTC) + self.ahead

    def put(self, bucket: str, key: str, data: bytes, **more: str) -> Stored:
        """
        Write an object.
        """
        made = Stored(
            data,
            f'"{hashlib.md5(data).hexdigest().upper()}"',
            anycrc.Model("CRC64-XZ").calc(data),
            self.now().replace(microsecond=0),
            more,
        )
        self.buckets[bucket][key] = made
        return made

    def copy(
        self, bucket: str, key: str, source: Stored, meta: dict[str, str] | None
    ) -> Stored:
        """
        Write a copy of an object, with its metadata or others.
        """
        return self.put(
            bucket, key, source.data, **(source.headers if meta is None else meta)
        )


def make_world() -> World:
    """
    Make a store with one bucket and three users, of whom bob may do nothing.
    """
    users = {key: User(secret) for key, secret in SECRETS.items()}
    users[BOB].allowed = False
    users[STS].token = TOKEN
    return World(users, {"models": {}})


def parse_range(text: str, size: int, standard: bool) -> tuple[int, int] | None:
    """
    Apply OSS's rule: a range that does not lie within the object is ignored, unless the
    standard behaviour was asked for.

    Returns:
        Start and stop, or None for the whole object.

    Raises:
        OssError: The range cannot be satisfied, by the standard.
    """
    found = _RANGE.fullmatch(text)
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = int(last) + 1 if first and last else size
    within = start < stop <= size and (bool(first) or 0 < int(last) <= size)
    if within:
        return start, stop
    if not standard:
        return None
    if start >= size or start >= stop:
        raise OssError(416, "InvalidRange")
    return start, min(stop, size)
