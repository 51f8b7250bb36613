"""
The AWS CRT under boto3's and the command line's transfers.

boto3 itself gives the CRT no endpoint, so that the transfers are made as aws-cli does.
"""

import os
from pathlib import Path

import awscrt
import boto3
from botocore.session import Session
from job import Job, run
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

CONFIG = """[default]
s3 =
    addressing_style = path
"""


class CrtTransfers:
    """
    Parallel ranges, of which only the first has no If-Match.
    """

    def __init__(self, job: Job) -> None:
        config = Path(job.scratch) / "aws-config"
        config.write_text(CONFIG, encoding="utf-8")
        os.environ["AWS_CONFIG_FILE"] = str(config)
        session = Session()
        provider = BotocoreCRTCredentialsWrapper(session.get_credentials())
        client = create_s3_crt_client(
            job.region, provider.to_crt_credentials_provider(), use_ssl=False
        )
        arguments = {"region_name": job.region, "endpoint_url": job.endpoint}
        serializer = BotocoreCRTRequestSerializer(session, arguments)
        self._bucket = job.bucket
        self._transfers = CRTTransferManager(client, serializer)

    def get(self, key: str, path: str) -> None:
        self._transfers.download(self._bucket, key, path).result()

    def multipart(self, path: str, key: str) -> None:
        self._transfers.upload(path, self._bucket, key).result()


run(CrtTransfers, lambda: f"{awscrt.__version__}, boto3 {boto3.__version__}")
