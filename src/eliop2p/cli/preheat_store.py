"""
The store, asked with the operator's own credentials.
"""

from collections.abc import Iterator
from urllib.parse import quote

import botocore.session
import click
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from eliop2p.cli.preheat_plan import Signed, Thing


class StoreAccess:
    """
    Lists objects and signs reads of them.

    The credentials are where botocore finds them: environment, profile, instance. They
    stay in this process.

    Args:
        endpoint: The store; None for what the environment or the profile say.
        profile: Which profile; None for the default one.
    """

    def __init__(self, endpoint: str | None, profile: str | None) -> None:
        try:
            self._session = session = botocore.session.Session(profile=profile)
            self._client = session.create_client(
                "s3",
                endpoint_url=endpoint,
                region_name=session.get_config_variable("region") or "us-east-1",
                config=Config(s3={"addressing_style": "path"}),
            )
        except (BotoCoreError, ValueError) as error:
            raise click.ClickException(f"the store cannot be used: {error}") from None

    def list(self, bucket: str, prefix: str) -> Iterator[Thing]:
        """
        List the objects below a prefix.

        Raises:
            click.ClickException: The store refuses.
        """
        pages = self._client.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield Thing(bucket, found["Key"], found["ETag"], found["Size"])
        except (BotoCoreError, ClientError) as error:
            raise click.ClickException(f"s3://{bucket}/{prefix}: {error}") from None

    def sign(self, thing: Thing) -> Signed:
        """
        Make a signed request for reading an object.

        Raises:
            click.ClickException: There are no credentials.
        """
        base = self._client.meta.endpoint_url
        url = f"{base}/{thing.bucket}/{quote(thing.key, safe='/~')}"
        # SDKs ask for checksums: what they get is what shall be remembered.
        request = AWSRequest("GET", url, headers={"x-amz-checksum-mode": "ENABLED"})
        try:
            credentials = self._session.get_credentials()
            region = self._client.meta.region_name
            S3SigV4Auth(credentials, "s3", region).add_auth(request)
        except BotoCoreError as error:
            raise click.ClickException(f"nothing can be signed: {error}") from None
        return Signed(url, dict(request.headers.items()))
