"""
s3torchconnector, on the AWS CRT.
"""

from pathlib import Path

import s3torchconnector
from job import Job, run, save
from s3torchconnector import S3ClientConfig, S3MapDataset
from s3torchconnector.s3reader import S3ReaderConstructor


class S3Torch:
    """
    The whole object as PyTorch reads it, parts as its checkpoints are read.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    def _dataset(self, key: str, *, ranges: bool) -> S3MapDataset:
        job = self._job
        make = (
            S3ReaderConstructor.range_based
            if ranges
            else S3ReaderConstructor.sequential
        )
        return S3MapDataset.from_objects(
            [f"s3://{job.bucket}/{key}"],
            region=job.region,
            endpoint=job.endpoint,
            s3client_config=S3ClientConfig(force_path_style=True),
            reader_constructor=make(),
        )

    def get(self, key: str, path: str) -> None:
        save(path, [self._dataset(key, ranges=False)[0].read()])

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        reader = self._dataset(key, ranges=True)[0]
        pieces = []
        for start, stop in parts:
            reader.seek(start)
            pieces.append(reader.read(stop - start))
        save(path, pieces)

    def multipart(self, path: str, key: str) -> None:
        job = self._job
        checkpoint = s3torchconnector.S3Checkpoint(
            region=job.region,
            endpoint=job.endpoint,
            s3client_config=S3ClientConfig(force_path_style=True),
        )
        with checkpoint.writer(f"s3://{job.bucket}/{key}") as writer:
            writer.write(Path(path).read_bytes())


run(S3Torch, lambda: str(s3torchconnector.__version__))
