"""
What stands around a store and changes how it is asked, and nothing else.
"""

from twisted.internet.defer import Deferred

from eliop2p.interfaces import IOrigin


class AroundOrigin:
    """
    Hands on what the store counts, and its end; how it is asked is left to subclasses.

    Args:
        inner: The store.

    Attributes:
        name: What the store is called.
    """

    def __init__(self, inner: IOrigin) -> None:
        self.name = inner.name
        self._inner = inner

    @property
    def requests(self) -> int:
        """
        Requests sent so far.
        """
        return self._inner.requests

    @property
    def bytes_in(self) -> int:
        """
        Body bytes received so far.
        """
        return self._inner.bytes_in

    def close(self) -> "Deferred[None]":
        """
        See :meth:`eliop2p.interfaces.IOrigin.close`.
        """
        return self._inner.close()
