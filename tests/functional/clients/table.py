"""
The clients that are known to work.
"""

import attrs

PLAIN = ("get", "ranges", "put", "multipart")
FULL = ("get", "stream", "ranges", "put", "multipart")


@attrs.frozen
class Client:
    """
    A client.

    Attributes:
        name: What it is called.
        driver: The file in ``drivers`` that works it.
        can: What it can do, of the steps of ``drivers/job.py``.
        tool: The command that must be there, if any.
        requirements: What to install for it; nothing when it is at hand already.
        arguments: For the driver; ``{bin}`` is where its commands were installed.
        modern: What it does in a way that Ceph 16 does not know: with a checksum
            behind the body, for one. These are done with another store.
        port_80: Whether it cannot be told another port.
        oss: Whether it speaks to Alibaba OSS, else to S3.
    """

    name: str
    driver: str
    can: tuple[str, ...]
    tool: str = ""
    requirements: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    modern: tuple[str, ...] = ()
    port_80: bool = False
    oss: bool = False

    def stores(self) -> dict[str, tuple[str, ...]]:
        """
        Say which steps to try with which store: rgw, moto or oss.
        """
        plain = tuple(step for step in self.can if step not in self.modern)
        tried = {"oss" if self.oss else "rgw": plain, "moto": self.modern}
        return {store: steps for store, steps in tried.items() if steps}


SIGNED_CHUNKS = Client("signed chunks", "signed_chunks.py", ("chunked",))

CLIENTS = (
    Client("boto3", "boto3_sdk.py", FULL),
    Client(
        "aws-cli 2", "aws_cli.py", FULL, "/usr/bin/aws", arguments=("/usr/bin/aws",)
    ),
    Client("curl --aws-sigv4", "curl.py", ("get", "ranges", "put"), "curl"),
    Client("s3cmd", "s3cmd.py", PLAIN, "s3cmd"),
    Client("rclone", "rclone.py", PLAIN, "rclone"),
    SIGNED_CHUNKS,
    Client(
        "AWS CRT",
        "crt_transfer.py",
        ("get", "multipart"),
        requirements=("boto3[crt]",),
        modern=("multipart",),
        port_80=True,
    ),
    Client("aws-cli 1", "aws_cli.py", FULL, "", ("awscli",), ("{bin}/aws",)),
    Client("s3fs", "s3fs_fs.py", FULL, "", ("s3fs",)),
    Client(
        "PyTorch DataLoader over s3fs",
        "torch_s3fs.py",
        ("get", "ranges"),
        requirements=("torch", "numpy", "s3fs"),
    ),
    Client(
        "pyarrow",
        "pyarrow_fs.py",
        ("get", "stream", "ranges", "multipart"),
        requirements=("pyarrow",),
        modern=("multipart",),
    ),
    Client(
        "s3torchconnector",
        "s3torch.py",
        ("get", "ranges", "multipart"),
        requirements=("s3torchconnector", "numpy"),
        modern=("multipart",),
    ),
    Client("minio-py", "minio_sdk.py", PLAIN, "", ("minio",)),
    Client("obstore", "obstore_sdk.py", PLAIN, "", ("obstore",)),
    Client("opendal", "opendal_sdk.py", PLAIN, "", ("opendal",)),
    Client(
        "AWS SDK for JavaScript",
        "js_sdk.mjs",
        (*PLAIN, "chunked"),
        "npm",
        (
            "@aws-sdk/client-s3",
            "@aws-sdk/lib-storage",
            "@smithy/node-http-handler",
            "http-proxy-agent",
        ),
        modern=("chunked",),
    ),
    Client("oss2", "oss2_sdk.py", FULL, oss=True),
    Client("alibabacloud-oss-v2", "oss_v2_sdk.py", FULL, oss=True),
)
