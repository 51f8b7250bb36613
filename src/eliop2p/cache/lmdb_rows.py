"""
How the LMDB tier lays chunks out in its file.

Two tables::

    index    chunk id                -> serial number, length, digest
    pieces   serial number, ordinal  -> up to a page of the content

A value longer than about half a page takes whole pages of its own, less a header of 16
bytes. Pieces of exactly that length waste nothing, and need no pages in a row: whatever
page is free can be used, so that a file never becomes too fragmented to be written to.
What is left of a chunk, if it is short, shares a page with others: a chunk of 4 KiB
takes 4.2 KiB instead of 8.

Serial numbers grow with every chunk: they are also the order of arrival.
"""

import struct
from pathlib import Path
from typing import NamedTuple

import attrs
import lmdb

from eliop2p.model.chunk import ChunkId, Digest

PIECE_KEY = struct.Struct(">QI")
"""
The key of a piece.
"""

_ROW = struct.Struct(">QQ32s")
_PAGE_HEADER = 16
_PIECE_NODE = 30
_INDEX_NODE = 92
_TABLES = 2


class Row(NamedTuple):
    """
    What the index says of a chunk.

    Attributes:
        chunk_id: Which chunk.
        serial: Names its pieces.
        length: Its length in bytes.
        digest: BLAKE3 of its content.
    """

    chunk_id: ChunkId
    serial: int
    length: int
    digest: Digest

    @property
    def value(self) -> bytes:
        """
        What stands in the index.
        """
        return _ROW.pack(self.serial, self.length, self.digest)


def parse_row(key: bytes, value: bytes) -> Row | None:
    """
    Read a line of the index; None when it is none.
    """
    if len(key) != 32 or len(value) != _ROW.size:
        return None
    serial, length, digest = _ROW.unpack(value)
    return Row(ChunkId(key), serial, length, Digest(digest))


@attrs.frozen
class Tables:
    """
    An open file.

    Attributes:
        environment: The file.
        index: Chunks by id.
        pieces: Their content.
        page: Length of a page in bytes.
    """

    environment: lmdb.Environment
    index: "lmdb._Database"
    pieces: "lmdb._Database"
    page: int

    @property
    def unit(self) -> int:
        """
        The length of every piece but the last of a chunk, in bytes.
        """
        return self.page - _PAGE_HEADER

    def size_of(self, length: int) -> int:
        """
        Estimate the bytes of the file that a chunk takes, tables included, whose pages
        may be half empty; rather more than less.
        """
        whole, rest = divmod(length, self.unit)
        shared = rest if rest < self.page // 2 - 64 else 0
        pages = whole + (rest > shared)
        nodes = _INDEX_NODE + _PIECE_NODE * (whole + 1) + shared
        return pages * self.page + nodes * 2


def believed_size(environment: lmdb.Environment) -> int:
    """
    Tell how long LMDB believes a file to be.
    """
    page: int = environment.stat()["psize"]
    last: int = environment.info()["last_pgno"]
    return (last + 1) * page


def _check_length(path: Path, environment: lmdb.Environment) -> None:
    """
    See that nothing has been cut off: to read that would end the process.

    Raises:
        lmdb.CorruptedError: Something has.
    """
    if path.stat().st_size < believed_size(environment):
        raise lmdb.CorruptedError("it is shorter than it was")


def open_tables(path: str | Path, *, map_size: int, readonly: bool = False) -> Tables:
    """
    Open a file.

    Args:
        path: The file.
        map_size: The most bytes it may have.
        readonly: Whether nobody else has it open and nothing is to be changed.

    Raises:
        lmdb.Error: It is not such a file, or cannot be used.
    """
    environment = lmdb.open(
        str(path),
        map_size=map_size,
        subdir=False,
        readonly=readonly,
        lock=not readonly,
        sync=False,
        readahead=False,
        max_dbs=_TABLES,
        max_spare_txns=1,
        mode=0o600,
    )
    try:
        _check_length(Path(path), environment)
        create = not readonly
        return Tables(
            environment,
            environment.open_db(b"index", create=create),
            environment.open_db(b"pieces", create=create),
            environment.stat()["psize"],
        )
    except BaseException:
        environment.close()
        raise
