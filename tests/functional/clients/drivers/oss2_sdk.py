"""
oss2, with the latest signature.
"""

import oss2
from job import PART, Job, run, save


class Oss2:
    """
    Names the bucket in the path when the node is its endpoint, else by the host.
    """

    def __init__(self, job: Job) -> None:
        self._bucket = oss2.Bucket(
            oss2.AuthV4(job.access_key, job.secret_key),
            job.endpoint,
            job.bucket,
            region=job.region,
            is_path_style=not job.proxy,
            proxies=job.proxies,
        )
        self._scratch = job.scratch

    def get(self, key: str, path: str) -> None:
        oss2.resumable_download(
            self._bucket,
            key,
            path,
            multiget_threshold=PART,
            part_size=PART,
            store=oss2.ResumableDownloadStore(root=self._scratch),
        )

    def stream(self, key: str, path: str) -> None:
        answer = self._bucket.get_object(key)
        save(path, [answer.read()])
        assert answer.client_crc == answer.server_crc

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        save(path, [self._part(key, start, stop) for start, stop in parts])

    def _part(self, key: str, start: int, stop: int) -> bytes:
        answer = self._bucket.get_object(key, byte_range=(start, stop - 1))
        data: bytes = answer.read()
        return data

    def put(self, path: str, key: str) -> None:
        self._bucket.put_object_from_file(key, path)

    def multipart(self, path: str, key: str) -> None:
        oss2.resumable_upload(
            self._bucket,
            key,
            path,
            multipart_threshold=PART,
            part_size=PART,
            store=oss2.ResumableStore(root=self._scratch),
        )


run(Oss2, lambda: str(oss2.__version__))
