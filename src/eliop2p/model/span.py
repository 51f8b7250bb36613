"""
Bytes that are ready to be sent, wherever they are.
"""

import attrs

_NEVER = float("-inf")


@attrs.define(eq=False)
class Validity:
    """
    For how long something may be used without looking at it again.

    Attributes:
        since: From when on, in seconds: a clock may be set back.
        until: When it ends, in seconds; brought forward when it ends earlier.
    """

    since: float
    until: float

    def end(self) -> None:
        """
        End it now.
        """
        self.until = _NEVER


@attrs.frozen
class FileSpan:
    """
    Bytes in an open file.

    Attributes:
        fd: The file descriptor; open as long as the reading that gave it is, or as the
            span is valid.
        offset: Where the bytes start in the file.
        length: How many there are.
        valid: For how long the span may be used if it is of no reading.
    """

    fd: int
    offset: int
    length: int
    valid: Validity | None = attrs.field(default=None, eq=False)

    def __len__(self) -> int:
        return self.length


Span = memoryview | FileSpan
"""
Bytes in memory, or in a file.
"""

Run = Span | tuple[FileSpan, ...]
"""
Bytes that are handed over in one go: those of a span, or of several files one after
the other.
"""


def run_length(run: Run) -> int:
    """
    Count the bytes of a run.
    """
    return sum(map(len, run)) if isinstance(run, tuple) else len(run)
