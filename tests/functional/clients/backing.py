"""
The stores behind the nodes that clients are tried with, seen past the nodes.
"""

from typing import Protocol

import attrs
import oss2
from botocore.client import BaseClient

from tests.functional.stores import oss_world
from tests.functional.stores.oss_origin import OssServer
from tests.functional.stores.store import REGION, Credentials, client

BUCKET = "models"

_ALICE = Credentials(oss_world.ALICE, oss_world.SECRETS[oss_world.ALICE])


class Backing(Protocol):
    """
    A store, and how to work it without the client that is tried.
    """

    @property
    def url(self) -> str:
        """
        Where it is.
        """

    @property
    def credentials(self) -> Credentials:
        """
        What it knows.
        """

    @property
    def region(self) -> str:
        """
        What requests are signed for.
        """

    @property
    def settings(self) -> dict[str, object]:
        """
        What a node is told of it.
        """

    def make_bucket(self) -> None:
        """
        Make the bucket, if it is not there.
        """

    def put(self, key: str, data: bytes) -> None:
        """
        Write an object.
        """

    def stored(self, key: str) -> bytes:
        """
        Read an object.
        """

    def read(self, endpoint: str, proxy: str, who: Credentials, key: str) -> bytes:
        """
        Read an object through a node.

        Args:
            endpoint: The store as clients name it.
            proxy: The node when it is a forward proxy, else empty.
            who: Who reads.
            key: What.
        """


@attrs.frozen
class S3Backing:
    """
    A store that speaks S3.

    Attributes:
        url: Where it is.
        credentials: What it knows.
        region: What requests are signed for.
    """

    url: str
    credentials: Credentials
    region: str = REGION

    @property
    def settings(self) -> dict[str, object]:
        """
        See :class:`Backing`.
        """
        return {"endpoint": self.url}

    @property
    def _direct(self) -> BaseClient:
        return client(self.url, self.credentials)

    def make_bucket(self) -> None:
        """
        See :class:`Backing`.
        """
        self._direct.create_bucket(Bucket=BUCKET)

    def put(self, key: str, data: bytes) -> None:
        """
        See :class:`Backing`.
        """
        self._direct.put_object(Bucket=BUCKET, Key=key, Body=data)

    def stored(self, key: str) -> bytes:
        """
        See :class:`Backing`.
        """
        data: bytes = self._direct.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def read(self, endpoint: str, proxy: str, who: Credentials, key: str) -> bytes:
        """
        See :class:`Backing`.
        """
        reader = client(endpoint, who, proxy=proxy or None)
        data: bytes = reader.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data


@attrs.frozen
class OssBacking:
    """
    A store that does as Alibaba OSS does.

    Attributes:
        server: The store.
        credentials: What it knows.
        region: What requests are signed for.
    """

    server: OssServer
    credentials: Credentials = _ALICE
    region: str = oss_world.REGION

    @property
    def url(self) -> str:
        """
        See :class:`Backing`.
        """
        return self.server.url

    @property
    def settings(self) -> dict[str, object]:
        """
        See :class:`Backing`.
        """
        return {"type": "oss", "endpoint": self.url, "region": self.region}

    def make_bucket(self) -> None:
        """
        See :class:`Backing`.
        """
        self.server.world.buckets.setdefault(BUCKET, {})

    def put(self, key: str, data: bytes) -> None:
        """
        See :class:`Backing`.
        """
        self.server.world.put(BUCKET, key, data)

    def stored(self, key: str) -> bytes:
        """
        See :class:`Backing`.
        """
        return self.server.world.buckets[BUCKET][key].data

    def read(self, endpoint: str, proxy: str, who: Credentials, key: str) -> bytes:
        """
        See :class:`Backing`.
        """
        bucket = oss2.Bucket(
            oss2.AuthV4(who.access_key, who.secret_key),
            endpoint,
            BUCKET,
            region=self.region,
            is_path_style=not proxy,
            proxies={"http": proxy} if proxy else None,
        )
        data: bytes = bucket.get_object(key).read()
        return data
