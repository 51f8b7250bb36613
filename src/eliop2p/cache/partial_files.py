"""
The blocking half of partial chunks: every call into the file system.
"""

import os
from collections.abc import Sequence

import attrs
from blake3 import blake3

from eliop2p.cache.files import ChunkFiles, write_at
from eliop2p.cache.layout import size_on_disk
from eliop2p.cache.partial_layout import (
    MOST_RECORDS,
    PARTIAL,
    RECORD,
    PartialName,
    Record,
    bytes_taken,
    decode_records,
    parse_partial,
)
from eliop2p.model.ranges import Interval

_SECTOR = 512

Piece = tuple[int, memoryview]
"""
Where bytes belong in the chunk, and the bytes.
"""


@attrs.frozen
class FoundPartial:
    """
    What an earlier process has left of a chunk.

    Attributes:
        name: The file.
        records: What it lists.
        size: Bytes that it takes.
        modified: When it was written to last.
    """

    name: PartialName
    records: tuple[Record, ...]
    size: int
    modified: int


@attrs.frozen
class FoundPartials:
    """
    What is in the folder of partial chunks.

    Attributes:
        partials: The chunks, in the order in which they were written to.
        unknown: Bytes in files that are not ours.
    """

    partials: tuple[FoundPartial, ...]
    unknown: int


class PartialFiles:
    """
    The files of partial chunks. Knows no state; safe in several threads, as long as no
    two of them write to the same file.

    Args:
        files: The directory.
    """

    def __init__(self, files: ChunkFiles) -> None:
        self._files = files
        self._folder = files.root / PARTIAL

    def scan(self) -> FoundPartials:
        """
        List what is there, without the bytes of chunks. What lists nothing is removed.

        Raises:
            OSError: The folder cannot be read.
        """
        self._files.check_there()
        found, unknown = [], 0
        for path in self._folder.iterdir():
            name = parse_partial(path.name)
            if name is None or path.is_symlink() or not path.is_file():
                unknown += size_on_disk(path.lstat().st_size)
                continue
            partial = self.look(name)
            if partial.records:
                found.append(partial)
            else:
                path.unlink()
        found.sort(key=lambda each: each.modified)
        return FoundPartials(tuple(found), unknown)

    def write(
        self, name: PartialName, at: int, pieces: Sequence[Piece], *, from_store: bool
    ) -> tuple[Record, ...]:
        """
        Add bytes, and then, when they are safe, say so in the list.

        Args:
            name: Which file; made when it is not there.
            at: How many extents it lists.
            pieces: The bytes.
            from_store: Whether they came from the store.

        Returns:
            What was added to the list.

        Raises:
            ShortOfSpace: Too little would be left free.
            OSError: Not all of it was written.
        """
        self._files.check_there()
        self._files.check_free(sum(len(data) for _, data in pieces))
        records = tuple(
            Record(
                Interval(offset, offset + len(data)), from_store, blake3(data).digest()
            )
            for offset, data in pieces
        )
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._files.root / name.path, flags, 0o600)
        try:
            for offset, data in pieces:
                write_at(fd, data, offset)
            os.fdatasync(fd)
            text = b"".join(record.encode() for record in records)
            write_at(fd, memoryview(text), name.records_at + at * RECORD)
        finally:
            os.close(fd)
        return records

    def load(
        self, name: PartialName, records: tuple[Record, ...]
    ) -> tuple[tuple[Record, memoryview], ...]:
        """
        Read the bytes that are listed, leaving out what does not match its digest.

        Raises:
            OSError: The file cannot be read.
        """
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._files.root / name.path, flags)
        good = []
        try:
            for record in records:
                extent = record.extent
                data = os.pread(fd, extent.length, extent.start)
                if blake3(data).digest() == record.digest:
                    good.append((record, memoryview(data)))
        finally:
            os.close(fd)
        return tuple(good)

    def remove(self, name: PartialName) -> OSError | None:
        """
        Remove a file.

        Returns:
            What went wrong, None when it is gone.
        """
        try:
            (self._files.root / name.path).unlink(missing_ok=True)
        except OSError as error:
            return error
        return None

    def look(self, name: PartialName) -> FoundPartial:
        """
        Read what a file lists.

        Raises:
            OSError: It cannot be read.
        """
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._files.root / name.path, flags)
        try:
            status = os.fstat(fd)
            text = os.pread(fd, MOST_RECORDS * RECORD, name.records_at)
        finally:
            os.close(fd)
        records = decode_records(text, name.length)
        listed = bytes_taken((each.extent for each in records), len(records))
        size = max(listed, size_on_disk(status.st_blocks * _SECTOR))
        return FoundPartial(name, records, size, status.st_mtime_ns)
