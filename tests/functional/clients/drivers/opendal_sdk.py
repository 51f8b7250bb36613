"""
Apache OpenDAL.
"""

from importlib.metadata import version
from pathlib import Path

import opendal
from job import PART, Job, run, save


class Opendal:
    """
    It signs with reqsign.
    """

    def __init__(self, job: Job) -> None:
        self._operator = opendal.Operator(
            "s3",
            endpoint=job.endpoint,
            bucket=job.bucket,
            region=job.region,
            access_key_id=job.access_key,
            secret_access_key=job.secret_key,
        )

    def get(self, key: str, path: str) -> None:
        save(path, [self._operator.read(key)])

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        with self._operator.open(key, "rb") as file:
            pieces = []
            for start, stop in parts:
                file.seek(start)
                while file.tell() < stop:
                    pieces.append(bytes(file.read(stop - file.tell())))
        save(path, pieces)

    def put(self, path: str, key: str) -> None:
        self._operator.write(key, Path(path).read_bytes())

    def multipart(self, path: str, key: str) -> None:
        self._operator.write(key, Path(path).read_bytes(), chunk=PART, concurrent=4)


run(Opendal, lambda: version("opendal"))
