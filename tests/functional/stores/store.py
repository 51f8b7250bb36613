"""
A store that really verifies signatures, and who may use it.
"""

import attrs
import boto3
from botocore.client import BaseClient
from botocore.config import Config

REGION = "us-east-1"


@attrs.frozen
class Credentials:
    """
    What a client signs with.
    """

    access_key: str
    secret_key: str


def client(
    url: str,
    credentials: Credentials,
    service: str = "s3",
    proxy: str | None = None,
    patience: float = 20,
) -> BaseClient:
    """
    Make a stock client for a node or the store itself.

    Args:
        url: The endpoint.
        credentials: What it signs with.
        service: Which service of AWS.
        proxy: A forward proxy on the way there.
        patience: Seconds without a byte after which a read fails.
    """
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        config=Config(
            retries={"max_attempts": 0},
            read_timeout=patience,
            proxies={"http": proxy} if proxy else {},
        ),
    )


@attrs.frozen
class RealStore:
    """
    A running store on loopback.

    Attributes:
        name: What it is called in test names and messages.
        port: Where it listens, on 127.0.0.1.
        alice: May make buckets; objects of the tests are hers.
        bob: Is known, and has no right to what is alice's.
    """

    name: str
    port: int
    alice: Credentials
    bob: Credentials

    @property
    def url(self) -> str:
        """
        Its endpoint.
        """
        return f"http://127.0.0.1:{self.port}"
