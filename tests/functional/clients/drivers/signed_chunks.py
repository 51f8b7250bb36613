"""
An upload whose chunks are signed one by one, as by Hadoop and the SDK for Java.

See "Signature Calculations for the Authorization Header: Transferring Payload in
Multiple Chunks" in the S3 API reference.
"""

import hashlib
import http.client
from pathlib import Path

import botocore
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from job import Job, run

CHUNK = 64 * 1024
EMPTY = hashlib.sha256(b"").hexdigest()
PAYLOAD = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


class SignedChunks:
    """
    botocore signs the head, and what it signs the chunks.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._credentials = Credentials(job.access_key, job.secret_key)

    def chunked(self, path: str, key: str) -> None:
        data = Path(path).read_bytes()
        pieces = [data[i : i + CHUNK] for i in range(0, len(data), CHUNK)]
        framed = sum(len(_frame(piece, "0" * 64)) for piece in (*pieces, b""))
        request = AWSRequest(
            "PUT",
            self._job.url(key),
            {
                "Content-Encoding": "aws-chunked",
                "Content-Length": str(framed),
                "x-amz-content-sha256": PAYLOAD,
                "x-amz-decoded-content-length": str(len(data)),
            },
        )
        signer = SigV4Auth(self._credentials, "s3", self._job.region)
        signer.payload = lambda _: PAYLOAD
        signer.add_auth(request)
        self._send(request, pieces, signer)

    def _send(
        self, request: AWSRequest, pieces: list[bytes], signer: SigV4Auth
    ) -> None:
        headers = dict(request.headers.items())
        previous = headers["Authorization"].rpartition("=")[2]
        body = bytearray()
        for piece in (*pieces, b""):
            text = "\n".join(
                (
                    "AWS4-HMAC-SHA256-PAYLOAD",
                    request.context["timestamp"],
                    signer.credential_scope(request),
                    previous,
                    EMPTY,
                    hashlib.sha256(piece).hexdigest(),
                )
            )
            previous = signer.signature(text, request)
            body += _frame(piece, previous)
        where = (self._job.proxy or self._job.endpoint).partition("//")[2]
        target = request.url if self._job.proxy else request.url.partition(where)[2]
        connection = http.client.HTTPConnection(where)
        connection.request("PUT", target, bytes(body), headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {said!r}")


def _frame(piece: bytes, signature: str) -> bytes:
    head = f"{len(piece):x};chunk-signature={signature}\r\n".encode()
    return head + piece + b"\r\n"


run(SignedChunks, lambda: f"botocore {botocore.__version__}")
