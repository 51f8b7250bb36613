"""
Bytes that are ready to be sent, wherever they are.
"""

import attrs


@attrs.frozen
class FileSpan:
    """
    Bytes in an open file.

    Attributes:
        fd: The file descriptor; open as long as the reading that gave it is.
        offset: Where the bytes start in the file.
        length: How many there are.
    """

    fd: int
    offset: int
    length: int

    def __len__(self) -> int:
        return self.length


@attrs.frozen
class MappedSpan(FileSpan):
    """
    Bytes in memory that are a file's as well, to be sent without being copied.

    Attributes:
        view: The bytes; the file is open as long as somebody refers to them.
    """

    view: memoryview = attrs.field(repr=False)


Span = memoryview | FileSpan
"""
Bytes in memory, or in a file.
"""


def in_memory(span: Span) -> memoryview | None:
    """
    Give bytes that are in memory; None when they have to be read.
    """
    if isinstance(span, MappedSpan):
        return span.view
    return None if isinstance(span, FileSpan) else span
