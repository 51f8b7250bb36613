"""
An object store that behaves as Alibaba OSS does, in memory.

Buckets are named by the host and by nothing else; every request's signature is checked;
ranges, ETags, checksums, errors and multipart uploads are OSS's own way.
"""

import base64
import contextlib
import hashlib
import socket
import threading
import uuid
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import anycrc
import attrs

from tests.functional.stores.oss_signatures import Asked, Checker, OssError, User
from tests.functional.stores.oss_world import REGION, Stored, World, parse_range


class Handler(BaseHTTPRequestHandler):
    """
    Answers one connection.
    """

    protocol_version = "HTTP/1.1"
    server: "OssServer"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """
        Say nothing.
        """

    def version_string(self) -> str:
        """
        Give the Server header.
        """
        return "AliyunOSS"

    def _handle(self) -> None:
        world = self.server.world
        self._id = uuid.uuid4().hex[:24].upper()
        self._body = self._read_body()
        try:
            asked = self._asked()
            user = Checker(world.users).who(asked, world.now())
            self._allow(asked, user)
            self._serve(asked)
        except OssError as error:
            self._error(error)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _asked(self) -> Asked:
        path, _, query = self.path.partition("?")
        params = {}
        for item in filter(None, query.split("&")):
            name, _, value = item.partition("=")
            params[unquote_plus(name)] = unquote_plus(value)
        host, base = self.headers.get("Host", ""), self.server.base
        key = unquote(path[1:])
        bucket = host.removesuffix(f".{base}") if host != base else ""
        if bucket == host:
            raise OssError(403, "AccessDenied", f"no bucket belongs to {host}")
        if not bucket and key:
            raise OssError(
                403,
                "SecondLevelDomainForbidden",
                "Please use virtual hosted style to access.",
            )
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Asked(self.command, headers, params, bucket, key, REGION)

    def _allow(self, asked: Asked, user: User | None) -> None:
        reads = asked.method in ("GET", "HEAD") and asked.key
        if user is None and not (reads and asked.bucket in self.server.world.public):
            raise OssError(403, "AccessDenied", "You have no right to access this.")
        if user is not None and not user.allowed:
            raise OssError(403, "AccessDenied", "You have no right to access this.")
        if asked.bucket and asked.bucket not in self.server.world.buckets:
            raise OssError(404, "NoSuchBucket")

    def _serve(self, asked: Asked) -> None:
        if not asked.bucket:
            names = "".join(
                f"<Bucket><Name>{name}</Name></Bucket>"
                for name in self.server.world.buckets
            )
            self._xml("ListAllMyBucketsResult", f"<Buckets>{names}</Buckets>")
        elif not asked.key:
            self._serve_bucket(asked)
        else:
            serve = {
                "GET": self._get,
                "HEAD": self._get,
                "PUT": self._put,
                "POST": self._post,
                "DELETE": self._delete,
            }
            serve[asked.method](asked)

    # --- buckets

    def _serve_bucket(self, asked: Asked) -> None:
        if asked.method != "GET":
            raise OssError(405, "MethodNotAllowed")
        if "location" in asked.params:
            self._xml("LocationConstraint", f"oss-{REGION}")
            return
        prefix = asked.params.get("prefix", "")
        found = sorted(
            (key, stored)
            for key, stored in self.server.world.buckets[asked.bucket].items()
            if key.startswith(prefix)
        )
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>{escape(stored.etag)}</ETag>"
            f"<LastModified>{stored.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<Type>{stored.kind}</Type><Size>{len(stored.data)}</Size>"
            "<StorageClass>Standard</StorageClass></Contents>"
            for key, stored in found
        )
        self._xml(
            "ListBucketResult",
            f"<Name>{asked.bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<MaxKeys>1000</MaxKeys><KeyCount>{len(found)}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{contents}",
        )

    # --- objects

    def _stored(self, asked: Asked) -> Stored:
        found = self.server.world.buckets[asked.bucket].get(asked.key)
        if found is None:
            raise OssError(404, "NoSuchKey", "The specified key does not exist.")
        return found

    def _list_parts(self, asked: Asked) -> None:
        upload = asked.params["uploadId"]
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><Size>{len(data)}</Size>"
            f"<ETag>&quot;{hashlib.md5(data).hexdigest().upper()}&quot;</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Part>"
            for number, data in sorted(self.server.world.uploads[upload].items())
        )
        self._xml(
            "ListPartsResult",
            f"<UploadId>{upload}</UploadId><NextPartNumberMarker>0"
            f"</NextPartNumberMarker><IsTruncated>false</IsTruncated>{parts}",
        )

    def _get(self, asked: Asked) -> None:
        if "uploadId" in asked.params:
            self._list_parts(asked)
            return
        stored = self._stored(asked)
        headers = self._object_headers(stored)
        status = self._condition(asked, stored)
        if status == 304:
            self._send(304, b"", headers)
            return
        size = len(stored.data)
        standard = asked.headers.get("x-oss-range-behavior") == "standard"
        part = parse_range(asked.headers.get("range", ""), size, standard)
        data = stored.data
        if part is not None:
            start, stop = part
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
            data = data[start:stop]
        if self.command == "GET":
            self.server.world.bytes_sent += len(data)
        self._send(200 if part is None else 206, data, headers)

    @staticmethod
    def _condition(asked: Asked, stored: Stored) -> int:
        headers = asked.headers
        since = headers.get("if-unmodified-since")
        # OSS takes an ETag without its quotes, as oss2 sends it.
        if headers.get("if-match", stored.etag).strip('"') != stored.etag.strip('"'):
            raise OssError(412, "PreconditionFailed")
        if since is not None and parsedate_to_datetime(since) < stored.modified:
            raise OssError(412, "PreconditionFailed")
        return 304 if headers.get("if-none-match") == stored.etag else 200

    @staticmethod
    def _object_headers(stored: Stored) -> dict[str, str]:
        return {
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes",
            "ETag": stored.etag,
            "Last-Modified": format_datetime(stored.modified, usegmt=True),
            "x-oss-object-type": stored.kind,
            "x-oss-hash-crc64ecma": str(stored.crc),
            "x-oss-storage-class": "Standard",
            "x-oss-server-time": "3",
            **stored.headers,
        }

    def _put(self, asked: Asked) -> None:
        world, body = self.server.world, self._body
        md5 = asked.headers.get("content-md5")
        if md5 and base64.b64decode(md5) != hashlib.md5(body).digest():
            raise OssError(400, "InvalidDigest")
        upload = asked.params.get("uploadId")
        if upload is not None:
            world.uploads[upload][int(asked.params["partNumber"])] = body
            etag = f'"{hashlib.md5(body).hexdigest().upper()}"'
            crc = anycrc.Model("CRC64-XZ").calc(body)
            self._send(200, b"", {"ETag": etag, "x-oss-hash-crc64ecma": str(crc)})
            return
        kept = {k: v for k, v in asked.headers.items() if k.startswith("x-oss-meta-")}
        source = asked.headers.get("x-oss-copy-source")
        if source is not None:
            bucket, _, key = unquote(source).lstrip("/").partition("/")
            found = self._stored(attrs.evolve(asked, bucket=bucket, key=key))
            replaced = asked.headers.get("x-oss-metadata-directive") == "REPLACE"
            meta = kept if replaced else None
            stored = world.copy(asked.bucket, asked.key, found, meta)
            self._xml("CopyObjectResult", f"<ETag>{escape(stored.etag)}</ETag>")
            return
        stored = world.put(asked.bucket, asked.key, body, **kept)
        crc = str(stored.crc)
        self._send(200, b"", {"ETag": stored.etag, "x-oss-hash-crc64ecma": crc})

    def _post(self, asked: Asked) -> None:
        world, where = self.server.world, (asked.bucket, asked.key)
        names = f"<Bucket>{where[0]}</Bucket><Key>{escape(where[1])}</Key>"
        if "uploads" in asked.params:
            upload = uuid.uuid4().hex.upper()
            world.uploads[upload] = {}
            self._xml(
                "InitiateMultipartUploadResult",
                f"{names}<UploadId>{upload}</UploadId>",
            )
            return
        parts = world.uploads.pop(asked.params.get("uploadId", ""), None)
        if parts is None:
            raise OssError(404, "NoSuchUpload")
        listed = ET.fromstring(self._body).iter("PartNumber")
        data = b"".join(parts[int(each.text or "")] for each in listed)
        stored = world.put(*where, data)
        etag = stored.etag[:-1] + f'-{len(parts)}"'
        world.buckets[where[0]][where[1]] = attrs.evolve(
            stored, etag=etag, kind="Multipart"
        )
        self._xml(
            "CompleteMultipartUploadResult",
            f"{names}<ETag>{escape(etag)}</ETag>",
            {"x-oss-hash-crc64ecma": str(stored.crc)},
        )

    def _delete(self, asked: Asked) -> None:
        self.server.world.buckets[asked.bucket].pop(asked.key, None)
        self._send(204, b"", {})

    # --- answers

    def _xml(
        self, name: str, inner: str, headers: dict[str, str] | None = None
    ) -> None:
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{inner}</{name}>'
        common = {"Content-Type": "application/xml"}
        self._send(200, text.encode(), {**common, **(headers or {})})

    def _error(self, error: OssError) -> None:
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{error.code}</Code><Message>{escape(str(error))}</Message>"
            f"<RequestId>{self._id}</RequestId><HostId>{self.headers.get('Host')}"
            "</HostId><EC>0000-00000001</EC></Error>"
        )
        self._send(error.status, text.encode(), {"Content-Type": "application/xml"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("x-oss-request-id", self._id)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)


class OssServer(ThreadingHTTPServer):
    """
    The store on a port of loopback.

    Attributes:
        world: What it holds.
        base: The host of the store as a whole; buckets are below it.
    """

    daemon_threads = True

    def __init__(self, world: World) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.world = world
        self.base = f"127.0.0.1:{self.server_port}"
        self._clients: set[Any] = set()
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """
        Where it is.
        """
        return f"http://{self.base}"

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """
        Take a connection, and remember it.
        """
        request, address = super().get_request()
        self._clients.add(request)
        return request, address

    def shutdown_request(
        self, request: socket.socket | tuple[bytes, socket.socket]
    ) -> None:
        """
        Forget a connection that has ended.
        """
        self._clients.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """
        End it, and every connection to it.
        """
        self.shutdown()
        self.server_close()
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self._thread.join()
