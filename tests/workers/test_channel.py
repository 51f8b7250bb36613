"""
Tests for :mod:`eliop2p.workers.channel`.
"""

import os
import socket
from typing import cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IReactorFDSet,
    IReadDescriptor,
    IWriteDescriptor,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.workers.channel import MAX_QUEUED, Channel, make_pair
from eliop2p.workers.messages import Kind, Message
from tests.net.loopback import open_descriptors
from tests.workers.rigs import QuietReactor

PING = Message(Kind.PING, 7)


class ChannelTests(SynchronousTestCase):
    """
    Both ends of a channel, over real sockets.
    """

    def setUp(self) -> None:
        """
        Make the ends.
        """
        self.received: list[tuple[Message, list[int]]] = []
        self.lost: list[str] = []
        self.reactor = QuietReactor()
        self.left, self.right = make_pair()
        self.addCleanup(self.left.close)
        self.addCleanup(self.right.close)
        self.near = self.channel(self.left, "near")
        self.far = self.channel(self.right, "far")

    def channel(self, end: socket.socket, name: str) -> Channel:
        """
        Make a channel of an end.
        """
        return Channel(
            end,
            cast("IReactorFDSet", self.reactor),
            lambda message, descriptors: self.received.append((message, descriptors)),
            lambda: self.lost.append(name),
        )

    def test_interfaces(self) -> None:
        """
        It is what the reactor expects of something to watch.
        """
        verifyObject(IReadDescriptor, self.near)
        verifyObject(IWriteDescriptor, self.near)

    def test_messages_in_order(self) -> None:
        """
        Messages arrive one by one in the order in which they were sent.
        """
        sent = [Message(Kind.ENDED, number, number, 0) for number in range(3)]
        for message in sent:
            self.near.send(message)
        self.far.doRead()
        self.assertEqual(self.received, [(message, []) for message in sent])

    def test_descriptors(self) -> None:
        """
        A message brings descriptors of the same files, which no process that is
        started inherits.
        """
        reading, writing = os.pipe()
        self.assertTrue(self.near.offer(PING, (reading, writing)))
        os.close(reading)
        os.close(writing)
        self.far.doRead()
        ((_, (reading, writing)),) = self.received
        os.write(writing, b"through")
        self.assertEqual(os.read(reading, 100), b"through")
        self.assertFalse(os.get_inheritable(reading))
        os.close(reading)
        os.close(writing)

    def test_full(self) -> None:
        """
        When the other side does not read, nothing more can be offered, and what is
        sent waits in order; in the end the channel is given up.
        """
        count = 0
        while self.near.offer(Message(Kind.PING, count)):
            count += 1
        self.near.send(Message(Kind.PING, count))
        self.assertIn(self.near, self.reactor.writers)
        self.assertFalse(self.near.offer(PING))
        for _ in range(2 + count // 64):
            self.far.doRead()
        self.near.doWrite()
        self.assertNotIn(self.near, self.reactor.writers)
        self.far.doRead()
        tickets = [message.ticket for message, _ in self.received]
        self.assertEqual(tickets, list(range(count + 1)))
        for _ in range(MAX_QUEUED + count + 2):
            self.near.send(PING)
        self.assertEqual(self.lost, ["near"])
        self.assertEqual(self.reactor.readers, {self.far})

    def test_other_side_gone(self) -> None:
        """
        The end of the other side is told once, after what it had still said.
        """
        self.near.send(PING)
        self.near.close()
        self.far.doRead()
        self.far.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.received, [(PING, [])])
        self.assertEqual(self.lost, ["far"])
        self.assertEqual(self.reactor.readers, set())
        self.far.send(PING)
        self.assertFalse(self.far.offer(PING))

    def test_own_end(self) -> None:
        """
        Whoever closes is told nothing, and nothing is read any more.
        """
        self.near.send(PING)
        self.far.close()
        self.far.doRead()
        self.assertEqual((self.received, self.lost), ([], []))

    def test_nonsense(self) -> None:
        """
        What is no message ends the channel, and descriptors that came with it do not
        stay open.
        """
        before = open_descriptors()
        reading, writing = os.pipe()
        socket.send_fds(self.left, [b"nonsense"], [reading, writing])
        os.close(reading)
        os.close(writing)
        self.far.doRead()
        self.assertEqual((self.received, self.lost), ([], ["far"]))
        self.assertEqual(len(open_descriptors()), len(before) - 1)
