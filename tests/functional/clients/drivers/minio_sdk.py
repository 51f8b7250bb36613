"""
minio-py.
"""

import minio
import urllib3
from job import PART, Job, run, save


class Minio:
    """
    It sends a whole object in one request.
    """

    def __init__(self, job: Job) -> None:
        self._bucket = job.bucket
        self._client = minio.Minio(
            endpoint=job.authority,
            access_key=job.access_key,
            secret_key=job.secret_key,
            region=job.region,
            secure=False,
            http_client=urllib3.ProxyManager(job.proxy) if job.proxy else None,
        )

    def get(self, key: str, path: str) -> None:
        self._client.fget_object(
            bucket_name=self._bucket, object_name=key, file_path=path
        )

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        save(path, [self._part(key, start, stop) for start, stop in parts])

    def _part(self, key: str, start: int, stop: int) -> bytes:
        answer = self._client.get_object(
            bucket_name=self._bucket, object_name=key, offset=start, length=stop - start
        )
        try:
            data: bytes = answer.read()
            return data
        finally:
            answer.close()
            answer.release_conn()

    def put(self, path: str, key: str) -> None:
        self._put(path, key, 64 * PART)

    def multipart(self, path: str, key: str) -> None:
        self._put(path, key, PART)

    def _put(self, path: str, key: str, part: int) -> None:
        self._client.fput_object(
            bucket_name=self._bucket, object_name=key, file_path=path, part_size=part
        )


run(Minio, lambda: str(minio.__version__))
