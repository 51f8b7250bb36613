"""
The AWS command line; the command is the argument.
"""

import os
import sys
from pathlib import Path

from job import Job, command, run, save, version_in

AWS = sys.argv[1]

CONFIG = """[default]
s3 =
    multipart_threshold = 8MB
    multipart_chunksize = 8MB
    addressing_style = path
"""


class AwsCli:
    """
    ``aws s3 cp`` and ``aws s3api``.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        config = Path(job.scratch) / "aws-config"
        config.write_text(CONFIG, encoding="utf-8")
        os.environ["AWS_CONFIG_FILE"] = str(config)

    def _run(self, *arguments: str) -> None:
        command(AWS, "--endpoint-url", self._job.endpoint, *arguments)

    def get(self, key: str, path: str) -> None:
        self._run("s3", "cp", f"s3://{self._job.bucket}/{key}", path)

    def stream(self, key: str, path: str) -> None:
        self._object("get-object", key, path)

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        pieces = []
        for start, stop in parts:
            self._object(
                "get-object", "--range", f"bytes={start}-{stop - 1}", key, path
            )
            pieces.append(Path(path).read_bytes())
        save(path, pieces)

    def put(self, path: str, key: str) -> None:
        self._object("put-object", "--body", path, key)

    def multipart(self, path: str, key: str) -> None:
        self._run("s3", "cp", path, f"s3://{self._job.bucket}/{key}")

    def _object(self, verb: str, *arguments: str) -> None:
        *options, last = arguments
        outfile = [last] if verb == "get-object" else []
        key = options.pop() if outfile else last
        self._run(
            "s3api",
            verb,
            "--bucket",
            self._job.bucket,
            "--key",
            key,
            *options,
            *outfile,
        )


run(AwsCli, lambda: version_in(command(AWS, "--version")))
