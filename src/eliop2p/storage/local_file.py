"""
Objects as files. Everything here blocks and belongs in a worker.
"""

import errno
import os
import stat
from mimetypes import MimeTypes
from pathlib import Path
from typing import NoReturn
from weakref import finalize

from eliop2p.storage.conditions import State

_MISSING = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)
)
_FORBIDDEN = frozenset((errno.EACCES, errno.EPERM))
_LITERAL_IN_S3 = frozenset((b"", b".", b".."))
# The tables that come with Python, not the machine's: every node says the same.
_TYPES = MimeTypes()


class Refusal(Exception):
    """
    There is no such object for the client, in the terms of S3.

    Attributes:
        status: HTTP status.
        code: S3 error code.
    """

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class FileChanged(Exception):
    """
    The file is no longer what it was when it was opened.
    """


class OpenFile:
    """
    An object that is open for reading. Closed when it is forgotten, at the latest: its
    opening may be cancelled while a worker is at it.

    Attributes:
        fd: The file descriptor.
        mtime_ns: Last change, nanoseconds since the epoch.
        state: What conditions are compared with.
        content_type: By the name's extension.
    """

    def __init__(self, fd: int, found: os.stat_result, content_type: bytes) -> None:
        self.fd = fd
        self.mtime_ns = found.st_mtime_ns
        self.content_type = content_type
        etag = b'"%x-%x-%x"' % (found.st_ino, found.st_size, found.st_mtime_ns)
        self.state = State(etag, found.st_mtime_ns // 1_000_000_000, found.st_size)
        self._finalizer = finalize(self, os.close, fd)

    def close(self) -> None:
        """
        Close the file; again does nothing.
        """
        self._finalizer()


def _content_type(key: bytes) -> bytes:
    kind, encoding = _TYPES.guess_type(key.decode("utf-8", "replace"))
    if kind is None or encoding is not None:
        return b"application/octet-stream"
    return kind.encode("ascii")


def _translate(error: OSError) -> NoReturn:
    """
    Raise what an error of the file system means to a client, or the error itself.
    """
    if error.errno in _MISSING:
        raise Refusal(404, "NoSuchKey") from error
    if error.errno in _FORBIDDEN:
        raise Refusal(403, "AccessDenied") from error
    raise error


def _resolve(top: bytes, *names: bytes) -> bytes:
    """
    Give the path below the top, links resolved.

    Raises:
        Refusal: It is not below the top.
        OSError: It does not exist.
    """
    if any(name in _LITERAL_IN_S3 or b"\0" in name for name in names):
        raise Refusal(404, "NoSuchKey")
    path = os.path.realpath(b"/".join((top, *names)), strict=True)
    if os.path.commonpath((top, path)) != top:
        raise Refusal(404, "NoSuchKey")
    return path


def find_bucket(root: str, bucket: bytes) -> bytes:
    """
    Look for a bucket.

    Returns:
        The path of the root, links resolved.

    Raises:
        Refusal: There is no such bucket.
        OSError: The root itself is gone.
    """
    top = os.path.realpath(os.fsencode(root), strict=True)
    try:
        path = b"" if b"/" in bucket else _resolve(top, bucket)
    except Refusal:
        path = b""
    except OSError as error:
        if error.errno not in _MISSING:
            _translate(error)
        path = b""
    if not path or not Path(os.fsdecode(path)).is_dir():
        raise Refusal(404, "NoSuchBucket")
    return top


def open_object(root: str, bucket: bytes, key: bytes) -> OpenFile:
    """
    Open an object.

    Raises:
        Refusal: There is none, or none that may be read.
        OSError: The file system does not answer.
    """
    top = find_bucket(root, bucket)
    try:
        path = _resolve(top, bucket, *key.split(b"/"))
        # O_NONBLOCK, for a FIFO would wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        _translate(error)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise Refusal(404, "NoSuchKey")
    return OpenFile(fd, found, _content_type(key))


def read_piece(file: OpenFile, offset: int, length: int) -> bytes:
    """
    Read part of an object.

    Raises:
        FileChanged: The file was written to since it was opened, so that the bytes may
            be of another version.
        OSError: The file system does not answer.
    """
    data = os.pread(file.fd, length, offset)
    now = os.fstat(file.fd)
    if not data or now.st_size != file.state.size or now.st_mtime_ns != file.mtime_ns:
        raise FileChanged("the file changed while it was read")
    return data
