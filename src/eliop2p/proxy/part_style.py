"""
How a store writes the heads of parts: the spelling and the place of Content-Range.

A part that is made from the remembered head of the whole object has to look as the
store's own would, and stores differ.
"""

import attrs

from eliop2p.http1.message import ResponseHead

_CONTENT_RANGE = b"content-range"


@attrs.frozen
class PartStyle:
    """
    What a store's 206 looks like.

    Attributes:
        name: Content-Range as the store spells it.
        after: The header before it, in lower case; empty when it is the first.
        reason: The reason phrase.
    """

    name: bytes = b"Content-Range"
    after: bytes = b"content-length"
    reason: bytes = b"Partial Content"


class PartStyles:
    """
    The styles of stores, as last seen; what has not been seen yet is as most have it.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, PartStyle] = {}

    def note(self, store: bytes, head: ResponseHead) -> None:
        """
        Look at an answer of a store.
        """
        if head.status != 206:
            return
        before = b""
        for name, _ in head.headers:
            lowered = name.lower()
            if lowered == _CONTENT_RANGE:
                self._seen[store] = PartStyle(name, before, head.reason)
                return
            before = lowered

    def of(self, store: bytes) -> PartStyle:
        """
        Give the style of a store.
        """
        return self._seen.get(store, PartStyle())
