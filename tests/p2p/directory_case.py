"""
A directory, and who asks it.
"""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import ChunkId
from eliop2p.p2p.directory import Directory
from eliop2p.wire.events import Locate, Located, Verdict
from tests.p2p.directory_machine import chunk_id, everybody

ONE = chunk_id(1)


class DirectoryCase(SynchronousTestCase):
    """
    A directory, and who asks it.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.directory = Directory(7)
        self.now = 0.0
        self.alive: Callable[[str], bool] = everybody
        self.slow: set[str] = set()

    def ask(
        self,
        node_id: str,
        *rejected: str,
        filled: int = 0,
        can_read: bool = True,
        chunk: ChunkId = ONE,
    ) -> Located:
        """
        Let a node ask.
        """
        request = Locate(3, chunk, filled, can_read, rejected)
        return self.directory.locate(
            node_id, request, self.alive, self.now, slow=self.slow
        )

    def names(self, located: Located) -> list[str]:
        """
        Name the holders of an answer.
        """
        self.assertIs(located.verdict, Verdict.HOLDERS)
        return [holder.node_id for holder in located.holders]
