"""
Tests for :mod:`eliop2p.net.read_group`.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from eliop2p.net.read_group import ReadGroup
from tests.net.loopback import REACTOR, open_descriptors, pair, turns

Read = Callable[[], Failure | None]


@implementer(IReadDescriptor)
class Member:
    """
    One end of a pair of sockets, in a group.

    Attributes:
        read: How often it was told to read.
        lost: Why it was lost, None while it is not.
    """

    def __init__(self, group: ReadGroup) -> None:
        self.read = 0
        self.lost: Failure | None = None
        self.raises: Exception | None = None
        self.ours, self.theirs = socket.socketpair()
        self._group = group
        group.addReader(self)

    def fileno(self) -> int:
        """
        Give the socket's.
        """
        return self.ours.fileno()

    def logPrefix(self) -> str:
        """
        Have a name.
        """
        return "Member"

    def doRead(self) -> Failure | None:
        """
        Read.
        """
        self.read += 1
        if self.raises is not None:
            raise self.raises
        return None if self.ours.recv(100) else Failure(ConnectionDone())

    def connectionLost(self, reason: Failure) -> None:
        """
        Note it.
        """
        self.lost = reason

    def close(self) -> None:
        """
        Leave the group and close both ends.
        """
        self._group.removeReader(self)
        self.ours.close()
        self.theirs.close()


class ReadGroupTests(TestCase):
    """
    Sockets that are watched as one.
    """

    timeout = 20

    def setUp(self) -> None:
        """
        Make a group.
        """
        self.group = ReadGroup(
            cast("IReactorFDSet", REACTOR), cast("IReactorTime", REACTOR)
        )

    def member(self) -> Member:
        """
        Put a socket into the group.
        """
        member = Member(self.group)
        self.addCleanup(member.close)
        return member

    async def test_interface(self) -> None:
        """
        It is what the reactor expects of something to watch for reading.
        """
        verifyObject(IReadDescriptor, self.group)

    async def test_each_reads(self) -> None:
        """
        Those read for which something has come, and no others.
        """
        members = [self.member() for _ in range(5)]
        for index in (1, 3):
            members[index].theirs.send(b"x")
        await turns()
        self.assertEqual([member.read for member in members], [0, 1, 0, 1, 0])

    async def test_removed_in_the_middle(self) -> None:
        """
        One that another has closed in the same turn is not told to read.
        """
        first, second = self.member(), self.member()
        for member in (first, second):
            member.theirs.send(b"x")
        before = first.doRead

        def close_other() -> Failure | None:
            other = second if not second.read else first
            self.group.removeReader(other)
            return before()

        first.doRead = second.doRead = close_other  # type: ignore[method-assign]
        await turns()
        self.assertEqual(first.read + second.read, 1)
        self.assertEqual(self.group.size, 1)

    async def test_end(self) -> None:
        """
        One whose other end closes is lost in good order, after what came before.
        """
        member = self.member()
        member.theirs.send(b"last")
        await turns()
        member.theirs.close()
        await turns()
        self.assertEqual(member.read, 2)
        assert member.lost is not None
        member.lost.trap(ConnectionDone)
        self.assertEqual(self.group.size, 0)

    async def test_failure(self) -> None:
        """
        One that fails is lost, and no other is.
        """
        broken, sound = self.member(), self.member()
        broken.raises = ValueError("a bug")
        for member in (broken, sound):
            member.theirs.send(b"x")
        await turns()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        assert broken.lost is not None
        broken.lost.trap(ValueError)
        self.assertEqual((sound.read, sound.lost), (1, None))

    async def test_watched_only_with_members(self) -> None:
        """
        The reactor watches the group as long as somebody is in it.
        """
        readers = cast("IReactorFDSet", REACTOR).getReaders
        self.assertNotIn(self.group, readers())
        member = self.member()
        self.group.addReader(member)
        self.assertIn(self.group, readers())
        self.group.removeReader(member)
        self.group.removeReader(member)
        self.assertNotIn(self.group, readers())

    async def test_reactor_stops(self) -> None:
        """
        When the reactor lets go of the group all of it is lost.
        """
        members = [self.member() for _ in range(3)]
        self.group.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(all(member.lost is not None for member in members))
        self.assertEqual(self.group.size, 0)

    async def test_turns(self) -> None:
        """
        A group with a turn lets each that has something read before any reads again,
        and the reactor go round when the turn is over.
        """
        clock = Clock()
        self.group = ReadGroup(cast("IReactorFDSet", REACTOR), clock, 2.0)
        members = [self.member() for _ in range(5)]
        read: list[int] = []
        for index, member in enumerate(members):
            member.theirs.send(bytes(300))
            before = member.doRead

            def slow(index: int, before: Read) -> Failure | None:
                read.append(index)
                clock.advance(1.0)
                return before()

            member.doRead = partial(slow, index, before)  # type: ignore[method-assign]
        counts = []
        for _ in range(8):
            self.group.doRead()
            counts.append(len(read))
        self.assertEqual(counts, [2, 4, 6, 8, 10, 12, 14, 15])
        for begin in (0, 5, 10):
            self.assertEqual(set(read[begin : begin + 5]), set(range(5)))

    async def test_connections(self) -> None:
        """
        Connections of a port are in a group: they are told of bytes, of the end and of
        an abortion as any are, and leave no descriptor behind.
        """
        before = open_descriptors()
        accepted, connected = await pair(self)
        group = accepted.connection.reactor
        assert isinstance(group, ReadGroup)
        self.assertEqual(group.size, 1)
        connected.connection.write(b"hello")
        await accepted.wait_for(5)
        accepted.connection.pauseProducing()
        connected.connection.write(b"more")
        await turns()
        self.assertEqual(len(accepted.received), 5)
        accepted.connection.resumeProducing()
        await accepted.wait_for(9)
        connected.connection.abortConnection()
        await accepted.lost
        self.assertEqual(group.size, 0)
        await turns()
        self.assertLessEqual(len(open_descriptors()), len(before) + 3)
