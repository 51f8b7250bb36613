"""
rclone.
"""

from pathlib import Path

from job import Job, command, output, run, save, version_in

CONFIG = """[store]
type = s3
provider = Ceph
access_key_id = {job.access_key}
secret_access_key = {job.secret_key}
region = {job.region}
endpoint = {job.endpoint}
force_path_style = true
"""


class Rclone:
    """
    It signs Accept-Encoding.
    """

    def __init__(self, job: Job) -> None:
        self._bucket = f"store:{job.bucket}"
        config = Path(job.scratch) / "rclone.conf"
        config.write_text(CONFIG.format(job=job), encoding="utf-8")
        self._command = ("rclone", "--config", str(config))

    def _run(self, *arguments: str) -> None:
        command(*self._command, *arguments)

    def get(self, key: str, path: str) -> None:
        Path(path).unlink(missing_ok=True)
        self._run("copyto", "--ignore-times", f"{self._bucket}/{key}", path)

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        pieces = []
        for start, stop in parts:
            name = f"{self._bucket}/{key}"
            bounds = ("--offset", str(start), "--count", str(stop - start))
            pieces.append(output(*self._command, "cat", name, *bounds))
        save(path, pieces)

    def put(self, path: str, key: str) -> None:
        self._put(path, key, "1G")

    def multipart(self, path: str, key: str) -> None:
        self._put(path, key, "5M")

    def _put(self, path: str, key: str, cutoff: str) -> None:
        self._run(
            "copyto",
            "--ignore-times",
            "--s3-no-check-bucket",
            "--s3-upload-cutoff",
            cutoff,
            "--s3-chunk-size",
            "8M",
            path,
            f"{self._bucket}/{key}",
        )


run(Rclone, lambda: version_in(command("rclone", "version")))
