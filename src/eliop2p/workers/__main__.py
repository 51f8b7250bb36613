"""
A worker process, started by a node: its end of the channel is descriptor 3,
the memory that they share descriptor 4.

It ends when the node does. Signals that are meant for the node, but reach all of its
process group, it leaves to the node.
"""

import os
import random
import signal
import socket
import sys

from twisted.internet.interfaces import IReactorFDSet, IReactorTime
from twisted.internet.posixbase import PosixReactorBase

from eliop2p.workers.board import Board
from eliop2p.workers.messages import DIALECT
from eliop2p.workers.porter import Porter

CHANNEL = 3
"""
The descriptor of the channel.
"""

BOARD = 4
"""
That of the memory that is shared with the node.
"""


def main(dialect: str) -> None:
    """
    Work until the node is gone.

    Raises:
        SystemExit: The node is of another version.
    """
    if dialect != str(DIALECT):
        raise SystemExit(f"this is a worker for {DIALECT}, and the node says {dialect}")
    from twisted.internet import reactor  # noqa: PLC0415, TID251

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    assert isinstance(reactor, PosixReactorBase)
    with socket.socket(fileno=CHANNEL) as end:
        board = Board(BOARD)
        os.close(BOARD)
        Porter(
            end,
            board,
            IReactorFDSet(reactor),
            IReactorTime(reactor),
            rng=random.SystemRandom(),
            gone=reactor.stop,
        )
        reactor.run(installSignalHandlers=False)


if __name__ == "__main__":
    main(sys.argv[1])
