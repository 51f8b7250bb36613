"""
What every sender of bodies promises when something goes wrong.
"""

import random
import tempfile

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import TestCase

from eliop2p.base.errors import LocalProtocolError, SpanUnreadable
from eliop2p.interfaces import IBodySender
from eliop2p.model.span import FileSpan
from tests.net.loopback import End, open_descriptors, pair, turns

SMALL = 64 * 1024
"""
Kernel buffers so small that every body of the tests has to wait for the client.
"""
LARGE = 5 * 1024 * 1024 + 77
"""
More than a turn and more than the kernel buffers of its own accord.
"""


def noise(length: int, seed: int = 0) -> bytes:
    """
    Make bytes that are the same for the same seed.
    """
    return random.Random(seed).randbytes(length)


def file_of(case: TestCase, content: bytes) -> int:
    """
    Put the content into a nameless file, open until the test ends.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  # The test's end closes it.
    case.addCleanup(file.close)
    file.write(content)
    file.flush()
    return file.fileno()


class BodySenderFaultPromises(TestCase):
    """
    What a sender promises when clients go, files are bad and sends overlap. Not to be
    imported by name into a test module either.
    """

    timeout = 20

    def make(self, end: End) -> IBodySender:
        """
        Make the sender under test for the accepted end of a connection.
        """
        raise NotImplementedError

    async def ends(self, buffers: int = 0) -> tuple[IBodySender, End, End]:
        """
        Connect, and give the sender, its end and the client's end.
        """
        ours, client = await pair(self, buffers)
        sender = self.make(ours)
        self.addCleanup(sender.close)
        return sender, ours, client

    async def test_slow_reader(self) -> None:
        """
        A client that does not read holds the send up, and gets everything when it does.
        """
        sender, _, client = await self.ends(SMALL)
        client.connection.pauseProducing()
        content = noise(LARGE)
        sending = sender.send(memoryview(content), False)
        await turns(20)
        self.assertNoResult(sending)
        self.assertLess(sender.bytes_sent, LARGE)
        client.connection.resumeProducing()
        await sending
        await client.wait_for(LARGE)
        self.assertEqual(client.received, content)

    async def test_one_at_a_time(self) -> None:
        """
        A second send while one is pending is a bug and raises.
        """
        sender, _, _ = await self.ends(SMALL)
        sending = sender.send(memoryview(noise(LARGE)), False)
        with self.assertRaises(LocalProtocolError):
            sender.send(memoryview(b"x"), False)
        sender.close()
        self.failureResultOf(sending, ConnectionLost)

    async def test_close_while_pending(self) -> None:
        """
        Closing fails the pending send and every later one; closing again is harmless.
        """
        sender, _, _ = await self.ends(SMALL)
        sending = sender.send(memoryview(noise(LARGE)), False)
        sender.close()
        self.failureResultOf(sending, ConnectionLost)
        self.failureResultOf(sender.send(memoryview(b"x"), False), ConnectionLost)
        sender.close()

    async def test_close_leaves_the_connection(self) -> None:
        """
        Closing the sender neither ends the connection nor loses what was sent.
        """
        sender, ours, client = await self.ends()
        await sender.send(memoryview(b"answer"), False)
        sender.close()
        await turns()
        self.assertFalse(ours.is_lost)
        ours.connection.loseConnection()
        await client.lost
        self.assertEqual(bytes(client.received), b"answer")

    async def test_client_resets(self) -> None:
        """
        A send is failed when the client resets the connection amid the body, and the
        connection is lost on our side too.
        """
        sender, ours, client = await self.ends(SMALL)
        ours.lost.addCallback(lambda _: sender.close())
        sending = sender.send(memoryview(noise(LARGE)), False)
        await client.wait_for(1000)
        client.connection.abortConnection()
        await self.assertFailure(sending, ConnectionLost)
        await ours.lost

    async def test_client_resets_unread(self) -> None:
        """
        A reset is noticed while a body is pending even when the transport is paused.
        """
        sender, ours, client = await self.ends(SMALL)
        ours.connection.pauseProducing()
        sending = sender.send(memoryview(noise(LARGE)), False)
        await client.wait_for(1000)
        client.connection.abortConnection()
        await self.assertFailure(sending, ConnectionLost)
        await ours.lost

    async def test_send_after_loss(self) -> None:
        """
        A send to a client that has gone fails.
        """
        sender, ours, client = await self.ends()
        client.connection.abortConnection()
        await ours.lost
        await self.assertFailure(sender.send(memoryview(b"x"), False), ConnectionLost)

    async def test_cancelled(self) -> None:
        """
        Cancelling a send aborts the connection: nobody knows where the body broke off.
        """
        sender, ours, client = await self.ends(SMALL)
        sending = sender.send(memoryview(noise(LARGE)), False)
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        await ours.lost
        await client.lost
        self.assertLess(len(client.received), LARGE)

    async def test_truncated_file(self) -> None:
        """
        A file shorter than its span fails the send, which tells how much of it went
        out; what is missing may be sent from elsewhere.
        """
        for buffers in (0, SMALL):
            sender, _, client = await self.ends(buffers)
            content = noise(300_000)
            fd = file_of(self, content)
            sending = sender.send(FileSpan(fd, 0, len(content) + 1), False)
            try:
                await sending
            except SpanUnreadable as error:
                self.assertEqual(error.taken, len(content))
            else:
                self.fail("bytes were made up")
            await sender.send(memoryview(b"!"), False)
            await client.wait_for(len(content) + 1)
            self.assertEqual(client.received, content + b"!")
            client.connection.loseConnection()

    async def test_unreadable_file(self) -> None:
        """
        A file that cannot be read fails the send at once, before a byte has gone out.
        """
        sender, _, client = await self.ends()
        sending = sender.send(FileSpan(1 << 20, 0, 10), False)
        error = self.failureResultOf(sending, SpanUnreadable).value
        self.assertEqual(error.taken, 0)
        await sender.send(memoryview(b"instead"), False)
        await client.wait_for(7)
        client.connection.loseConnection()

    async def test_no_descriptor_is_left(self) -> None:
        """
        However a connection ends, all of its descriptors are closed.
        """
        await self._one_of_each_end()
        before = open_descriptors()
        await self._one_of_each_end()
        self.assertEqual(open_descriptors(), before)

    async def _one_of_each_end(self) -> None:
        for ending in ("close", "abort", "reset", "truncated"):
            ours, client = await pair(self, SMALL)
            sender = self.make(ours)
            sending = sender.send(memoryview(noise(LARGE)), False)
            sending.addErrback(lambda failure: failure.trap(ConnectionLost))
            if ending == "abort":
                sending.cancel()
                sending.addErrback(lambda failure: failure.trap(CancelledError))
            elif ending == "reset":
                client.connection.abortConnection()
            elif ending == "truncated":
                await client.wait_for(LARGE)
                with tempfile.TemporaryFile() as empty:
                    failing = sender.send(FileSpan(empty.fileno(), 0, 1), False)
                    await self.assertFailure(failing, SpanUnreadable)
                ours.connection.abortConnection()
            else:
                ours.connection.loseConnection()
            await ours.lost
            sender.close()
            await client.lost
