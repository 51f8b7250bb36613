"""
What checking a client's signature and making the node's own cost, beside botocore and
oss2 signing the same requests.

    python -m benchmarks.signatures [--rounds 5] [--each 1000]
"""

import argparse
import statistics
from collections.abc import Callable
from time import process_time

import oss2
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from eliop2p.base.secret import Secret
from eliop2p.signing.admission import admit, verifiers
from eliop2p.signing.own import Keys, oss_signer, s3_signer
from eliop2p.signing.resource import path_style
from tests.signing.vectors import (
    ACCESS_KEY,
    REGIONS,
    SECRET,
    Vector,
    client,
    known,
    load,
)

CHECKED = ("boto3 s3v4 get", "boto3 s3v4 url", "boto3 s3 get", "oss2 v4 get")


def cost(call: Callable[[], object], each: int) -> float:
    """
    Give the processor time of a call, in microseconds.
    """
    begin = process_time()
    for _ in range(each):
        call()
    return (process_time() - begin) / each * 1e6


def check(vector: Vector) -> Callable[[], object]:
    """
    Make what lets one captured request in.
    """
    verify = verifiers(vector.store, REGIONS[vector.store])
    clients, resource = known(client()), path_style(vector.head.target)
    return lambda: admit(vector.head, resource, clients, vector.seconds, verify)


def botocore_signs(vector: Vector) -> Callable[[], object]:
    """
    Make what signs the same request as an S3 client does.
    """
    url = f"http://127.0.0.1{vector.head.target.decode()}"
    signer = S3SigV4Auth(Credentials(ACCESS_KEY, SECRET), "s3", REGIONS["s3"])
    return lambda: signer.add_auth(AWSRequest(method="GET", url=url))


def oss2_signs(vector: Vector) -> Callable[[], object]:
    """
    Make what signs the same request as an OSS client does.
    """
    auth, key = oss2.AuthV4(ACCESS_KEY, SECRET), path_style(vector.head.target).key

    def sign() -> None:
        request = oss2.http.Request(
            "GET", "http://127.0.0.1", region=REGIONS["oss"], product="oss"
        )
        auth._sign_request(request, "bkt", key.decode())  # noqa: SLF001  its own way

    return sign


def main() -> None:
    """
    Measure and print a table.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--each", type=int, default=1000)
    options = parser.parse_args()
    vectors = {vector.name: vector for vector in load()}
    s3, oss = vectors["boto3 s3v4 get"], vectors["oss2 v4 get"]
    keys = Keys("AKNODE", Secret("node/secret"))
    s3_sign, oss_sign = s3_signer(b"store", "us-east-1"), oss_signer("cn-hangzhou")
    calls = {
        "botocore signs": botocore_signs(s3),
        "oss2 signs": oss2_signs(oss),
        **{f"check {name}": check(vectors[name]) for name in CHECKED},
        "sign for S3": lambda: s3_sign(s3.head, keys, 1e9),
        "sign for OSS": lambda: oss_sign(oss.head, keys, 1e9),
    }
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.rounds):
        for name, call in calls.items():
            found[name].append(cost(call, options.each))
    for name, times in found.items():
        peer = found["oss2 signs" if "oss" in name.lower() else "botocore signs"]
        middle = statistics.median(times)
        print(
            f"{name:22} {middle:6.0f} us ({min(times):.0f}..{max(times):.0f})"
            f"  {middle / statistics.median(peer):5.2f} of its peer"
        )


if __name__ == "__main__":
    main()
