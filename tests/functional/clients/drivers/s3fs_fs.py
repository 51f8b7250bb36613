"""
s3fs, on aiobotocore.
"""

from pathlib import Path

import aiobotocore
import s3fs
from job import PART, Job, run, save


class S3fs:
    """
    Large ranges at odd places.
    """

    def __init__(self, job: Job) -> None:
        self._bucket = job.bucket
        self._fs = s3fs.S3FileSystem(
            endpoint_url=job.endpoint,
            config_kwargs={
                "s3": {"addressing_style": "path"},
                **({"proxies": job.proxies} if job.proxy else {}),
            },
        )

    def get(self, key: str, path: str) -> None:
        self._fs.get_file(f"{self._bucket}/{key}", path)

    def stream(self, key: str, path: str) -> None:
        save(path, [self._fs.cat_file(f"{self._bucket}/{key}")])

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        starts = [start for start, _ in parts]
        stops = [stop for _, stop in parts]
        names = [f"{self._bucket}/{key}"] * len(parts)
        pieces = self._fs.cat_ranges(names, starts, stops, on_error="raise")
        with self._fs.open(names[0], "rb", block_size=5 * 1024 * 1024 + 7) as file:
            for (start, stop), piece in zip(parts, pieces, strict=True):
                file.seek(start)
                assert file.read(stop - start) == piece
        save(path, pieces)

    def put(self, path: str, key: str) -> None:
        self._fs.pipe_file(f"{self._bucket}/{key}", Path(path).read_bytes())

    def multipart(self, path: str, key: str) -> None:
        self._fs.put_file(path, f"{self._bucket}/{key}", chunksize=PART)


run(S3fs, lambda: f"{s3fs.__version__}, aiobotocore {aiobotocore.__version__}")
