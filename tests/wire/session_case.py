"""
Two sessions back to back.
"""

import random
from collections.abc import Callable

from eliop2p.model.chunk import ChunkId, Digest, ObjectId
from eliop2p.wire.events import (
    Message,
)
from eliop2p.wire.rules import Event, Role
from eliop2p.wire.session import Session

SECRET = b"the secret of the cluster"
CHUNK = ChunkId(b"c" * 32)
DIGEST = Digest(b"d" * 32)
OBJECT = ObjectId(b"o" * 32)


def nonces(seed: int) -> Callable[[], bytes]:
    """
    Give a source of nonces that differ.
    """
    source = random.Random(seed)
    return lambda: source.randbytes(32)


def connecting(
    secret: bytes = SECRET, name: str = "left", expected: str = ""
) -> Session:
    """
    Make the side that connected.
    """
    return Session(Role.CONNECTING, name, secret, nonces(1), expected)


def accepting(secret: bytes = SECRET, name: str = "right") -> Session:
    """
    Make the side that accepted.
    """
    return Session(Role.ACCEPTING, name, secret, nonces(2))


class SessionPair:
    """
    Two sessions whose bytes reach each other.
    """

    def __init__(self, left: Session | None = None, right: Session | None = None):
        self.left = left or connecting()
        self.right = right or accepting()
        self.left_events: list[Event] = []
        self.right_events: list[Event] = []

    def settle(self) -> None:
        """
        Carry what the sessions have to say of themselves until they are quiet.
        """
        while True:
            to_right, to_left = self.left.data_to_send(), self.right.data_to_send()
            if not to_right and not to_left:
                return
            self.right_events += self.right.receive(to_right)
            self.left_events += self.left.receive(to_left)

    def ask(self, request: Message) -> list[Event]:
        """
        Send from left to right, and settle.
        """
        events = self.right.receive(self.left.send(request))
        self.settle()
        return events

    def answer(self, message: Message) -> list[Event]:
        """
        Send from right to left, and settle.
        """
        events = self.left.receive(self.right.send(message))
        self.settle()
        return events


def open_pair() -> SessionPair:
    """
    Make an established pair.
    """
    pair = SessionPair()
    pair.settle()
    return pair
