"""
PyTorch's DataLoader over s3fs: pieces of one object, read by worker processes.
"""

from typing import Any

import s3fs
import torch
from job import MIB, Job, run, save
from torch.utils.data import DataLoader, Dataset


class Parts(Dataset):  # type: ignore[misc]
    """
    Half-open parts of an object.
    """

    def __init__(self, job: Job, key: str, parts: list[list[int]]) -> None:
        self._job = job
        self._path = f"{job.bucket}/{key}"
        self._parts = parts
        self._fs: Any = None

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: int) -> bytes:
        if self._fs is None:
            self._fs = store(self._job)
        start, stop = self._parts[index]
        data: bytes = self._fs.cat_file(self._path, start=start, end=stop)
        return data


def store(job: Job) -> Any:
    """
    Make a file system of this process's own: its event loop does not survive a fork.
    """
    proxies = {"proxies": job.proxies} if job.proxy else {}
    return s3fs.S3FileSystem(
        endpoint_url=job.endpoint,
        config_kwargs={"s3": {"addressing_style": "path"}, **proxies},
        skip_instance_cache=True,
    )


class Loader:
    """
    Two workers, each with its own connections.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    def get(self, key: str, path: str) -> None:
        size = store(self._job).size(f"{self._job.bucket}/{key}")
        starts = range(0, size, MIB)
        self.ranges(key, path, [[each, min(each + MIB, size)] for each in starts])

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        dataset = Parts(self._job, key, parts)
        save(path, list(DataLoader(dataset, batch_size=None, num_workers=2)))


run(Loader, lambda: f"{torch.__version__}, s3fs {s3fs.__version__}")
