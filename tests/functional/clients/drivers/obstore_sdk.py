"""
obstore, on the Rust crate object_store.
"""

from pathlib import Path

import obstore
from job import PART, Job, run, save
from obstore.store import S3Store


class Obstore:
    """
    Many ranges in one call.
    """

    def __init__(self, job: Job) -> None:
        self._store = S3Store(
            job.bucket,
            endpoint=job.endpoint,
            access_key_id=job.access_key,
            secret_access_key=job.secret_key,
            region=job.region,
            virtual_hosted_style_request=False,
            client_options={
                "allow_http": True,
                **({"proxy_url": job.proxy} if job.proxy else {}),
            },
        )

    def get(self, key: str, path: str) -> None:
        save(path, [bytes(obstore.get(self._store, key).bytes())])

    def ranges(self, key: str, path: str, parts: list[list[int]]) -> None:
        pieces = obstore.get_ranges(
            self._store,
            key,
            starts=[start for start, _ in parts],
            ends=[stop for _, stop in parts],
        )
        save(path, [bytes(piece) for piece in pieces])

    def put(self, path: str, key: str) -> None:
        obstore.put(self._store, key, Path(path), use_multipart=False)

    def multipart(self, path: str, key: str) -> None:
        obstore.put(self._store, key, Path(path), use_multipart=True, chunk_size=PART)


run(Obstore, lambda: str(obstore.__version__))
