"""
pyarrow, on the AWS SDK for C++.
"""

from pathlib import Path

import pyarrow as pa
from job import MIB, Job, run, save
from pyarrow import fs


class Pyarrow:
    """
    Small ranges at odd places, as of Parquet.
    """

    def __init__(self, job: Job) -> None:
        self._bucket = job.bucket
        self._fs = fs.S3FileSystem(
            endpoint_override=job.authority,
            scheme="http",
            region=job.region,
            **({"proxy_options": job.proxy} if job.proxy else {}),
        )

    def get(self, key: str, path: str) -> None:
        fs.copy_files(
            f"{self._bucket}/{key}",
            path,
            source_filesystem=self._fs,
            destination_filesystem=fs.LocalFileSystem(),
        )

    def stream(self, key: str, path: str) -> None:
        with self._fs.open_input_stream(f"{self._bucket}/{key}") as file:
            save(path, [file.readall()])

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        with self._fs.open_input_file(f"{self._bucket}/{key}") as file:
            save(path, [file.read_at(stop - start, start) for start, stop in parts])

    def multipart(self, path: str, key: str) -> None:
        with (
            Path(path).open("rb") as source,
            self._fs.open_output_stream(f"{self._bucket}/{key}") as target,
        ):
            while piece := source.read(3 * MIB):
                target.write(piece)


run(Pyarrow, lambda: str(pa.__version__))
