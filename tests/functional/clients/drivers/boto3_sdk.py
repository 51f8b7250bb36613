"""
boto3.
"""

from pathlib import Path

import boto3
import botocore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from job import PART, Job, run, save


class Boto3:
    """
    The client most programs use.
    """

    def __init__(self, job: Job) -> None:
        self._bucket = job.bucket
        self._client = boto3.client(
            "s3",
            endpoint_url=job.endpoint,
            config=Config(proxies=job.proxies, retries={"max_attempts": 1}),
        )
        self._transfer = TransferConfig(
            multipart_threshold=PART,
            multipart_chunksize=PART,
            preferred_transfer_client="classic",
        )

    def get(self, key: str, path: str) -> None:
        self._client.download_file(self._bucket, key, path, Config=self._transfer)

    def stream(self, key: str, path: str) -> None:
        answer = self._client.get_object(Bucket=self._bucket, Key=key)
        save(path, [answer["Body"].read()])

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        save(path, [self._part(key, start, stop) for start, stop in parts])

    def _part(self, key: str, start: int, stop: int) -> bytes:
        answer = self._client.get_object(
            Bucket=self._bucket, Key=key, Range=f"bytes={start}-{stop - 1}"
        )
        data: bytes = answer["Body"].read()
        return data

    def put(self, path: str, key: str) -> None:
        with Path(path).open("rb") as file:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=file)

    def multipart(self, path: str, key: str) -> None:
        self._client.upload_file(path, self._bucket, key, Config=self._transfer)


run(Boto3, lambda: f"{boto3.__version__}, botocore {botocore.__version__}")
