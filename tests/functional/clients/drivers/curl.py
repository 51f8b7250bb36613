"""
curl, which signs with ``--aws-sigv4``.
"""

from pathlib import Path

from job import Job, command, run, save, version_in


class Curl:
    """
    One request per command.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._options = [
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--aws-sigv4",
            f"aws:amz:{job.region}:s3",
            "--user",
            f"{job.access_key}:{job.secret_key}",
            "--header",
            "x-amz-content-sha256: UNSIGNED-PAYLOAD",
        ]

    def _run(self, key: str, *arguments: str) -> None:
        command(*self._options, *arguments, self._job.url(key))

    def get(self, key: str, path: str) -> None:
        self._run(key, "--output", path)

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        pieces = []
        for start, stop in parts:
            self._run(key, "--range", f"{start}-{stop - 1}", "--output", path)
            pieces.append(Path(path).read_bytes())
        save(path, pieces)

    def put(self, path: str, key: str) -> None:
        self._run(key, "--upload-file", path)


run(Curl, lambda: version_in(command("curl", "--version")))
