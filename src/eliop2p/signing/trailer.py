"""
Bodies in the ``aws-chunked`` coding without signatures, as AWS takes them for
``STREAMING-UNSIGNED-PAYLOAD-TRAILER``.
"""

from eliop2p.http1.message import Header
from eliop2p.signing.refusal import Refused

CHUNK = 64 * 1024
"""
Data bytes in each chunk but the last.
"""

_VALUE_LENGTHS = {
    b"x-amz-checksum-crc32": 8,
    b"x-amz-checksum-crc32c": 8,
    b"x-amz-checksum-crc64nvme": 12,
    b"x-amz-checksum-sha1": 28,
    b"x-amz-checksum-sha256": 44,
}
"""
Characters of each checksum in base64.
"""


class TrailerEncoder:
    """
    Puts data of a known length into the coding, checksums behind it.

    Args:
        length: Bytes of data to come.
        names: The trailers to come, in lower case.

    Attributes:
        encoded_length: Bytes of the whole coding.

    Raises:
        Refused: The length of a trailer cannot be told beforehand.
    """

    def __init__(self, length: int, names: list[bytes]) -> None:
        unknown = [name for name in names if name not in _VALUE_LENGTHS]
        if unknown:
            raise Refused(
                "InvalidRequest",
                f"The value specified in the x-amz-trailer header is not supported: "
                f"{unknown[0].decode('latin-1')}",
            )
        self._names = sorted(names)
        self._left = length
        self._chunk = 0
        full, rest = divmod(length, CHUNK)
        self.encoded_length = (
            full * _framed(CHUNK)
            + (_framed(rest) if rest else 0)
            + len(b"0\r\n\r\n")
            + sum(len(name) + 3 + _VALUE_LENGTHS[name] for name in names)
        )

    def encode(self, data: bytes) -> bytes:
        """
        Encode data.
        """
        parts: list[bytes] = []
        view = memoryview(data)
        while view:
            if not self._chunk:
                self._chunk = min(CHUNK, self._left)
                parts.append(b"%x\r\n" % self._chunk)
            piece = view[: self._chunk]
            parts.append(bytes(piece))
            view = view[len(piece) :]
            self._chunk -= len(piece)
            self._left -= len(piece)
            if not self._chunk:
                parts.append(b"\r\n")
        return b"".join(parts)

    def end(self, trailers: list[Header]) -> bytes:
        """
        Encode the end.

        Raises:
            Refused: The trailers are not those that were announced.
        """
        lines = sorted((name.lower(), value) for name, value in trailers)
        if [name for name, _ in lines] != self._names or any(
            len(value) != _VALUE_LENGTHS[name] for name, value in lines
        ):
            raise Refused(
                "InvalidRequest", "The trailers are not those in x-amz-trailer"
            )
        return b"0\r\n" + b"".join(b"%s:%s\r\n" % line for line in lines) + b"\r\n"


def _framed(count: int) -> int:
    return len(b"%x" % count) + count + 4
