"""
s3cmd.
"""

from pathlib import Path

from job import Job, command, run, save, version_in

CONFIG = """[default]
access_key = {job.access_key}
secret_key = {job.secret_key}
bucket_location = {job.region}
host_base = {job.authority}
host_bucket = {job.authority}
use_https = False
signature_v2 = False
multipart_chunk_size_mb = 8
"""


class S3cmd:
    """
    Its Range is not signed.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._config = Path(job.scratch) / "s3cfg"
        text = CONFIG.format(job=job)
        if job.proxy:
            host, _, port = job.proxy.partition("//")[2].partition(":")
            text += f"proxy_host = {host}\nproxy_port = {port}\n"
        self._config.write_text(text, encoding="utf-8")

    def _run(self, *arguments: str) -> None:
        command("s3cmd", f"--config={self._config}", "--no-progress", *arguments)

    def get(self, key: str, path: str) -> None:
        self._run("get", "--force", f"s3://{self._job.bucket}/{key}", path)

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        pieces = []
        for start, stop in parts:
            # It can only go on from where a file ends.
            Path(path).write_bytes(bytes(start))
            self._run("get", "--continue", f"s3://{self._job.bucket}/{key}", path)
            pieces.append(Path(path).read_bytes()[start:stop])
        save(path, pieces)

    def put(self, path: str, key: str) -> None:
        where = f"s3://{self._job.bucket}/{key}"
        self._run("put", "--disable-multipart", path, where)

    def multipart(self, path: str, key: str) -> None:
        self._run("put", path, f"s3://{self._job.bucket}/{key}")


run(S3cmd, lambda: version_in(command("s3cmd", "--version")))
