"""
alibabacloud-oss-v2.
"""

import alibabacloud_oss_v2 as oss
from job import PART, Job, run, save


class OssV2:
    """
    Names the bucket in the path when the node is its endpoint, else by the host.
    """

    def __init__(self, job: Job) -> None:
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            job.access_key, job.secret_key
        )
        config.region, config.endpoint = job.region, job.endpoint
        config.use_path_style = not job.proxy
        # A proxy given as a string is not used.
        config.proxy_host = job.proxies
        # With one, a download to a file makes none.
        config.retry_max_attempts = 2
        self._client = oss.Client(config)
        self._bucket = job.bucket

    def _wanted(self, key: str, part: str | None = None) -> oss.GetObjectRequest:
        return oss.GetObjectRequest(bucket=self._bucket, key=key, range_header=part)

    def get(self, key: str, path: str) -> None:
        downloader = self._client.downloader(part_size=PART)
        downloader.download_file(self._wanted(key), path)

    def stream(self, key: str, path: str) -> None:
        self._client.get_object_to_file(self._wanted(key), path)

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        save(path, [self._part(key, start, stop) for start, stop in parts])

    def _part(self, key: str, start: int, stop: int) -> bytes:
        answer = self._client.get_object(self._wanted(key, f"bytes={start}-{stop - 1}"))
        data: bytes = answer.body.content
        return data

    def put(self, path: str, key: str) -> None:
        self._client.put_object_from_file(
            oss.PutObjectRequest(bucket=self._bucket, key=key), path
        )

    def multipart(self, path: str, key: str) -> None:
        uploader = self._client.uploader(part_size=PART)
        uploader.upload_file(oss.PutObjectRequest(bucket=self._bucket, key=key), path)


run(OssV2, lambda: str(oss.__version__))
