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


Span = memoryview | FileSpan
"""
Bytes in memory, or in a file.
"""
