"""
What every :class:`.IBodySender` promises, to be inherited with a way to make one.
"""

import random
from collections.abc import Iterator

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from zope.interface.verify import verifyObject

from eliop2p.base.errors import LocalProtocolError, SpanUnreadable
from eliop2p.interfaces import IBodySender
from eliop2p.model.span import FileSpan, Span
from tests.net.body_sender_faults import (
    LARGE,
    SMALL,
    BodySenderFaultPromises,
    file_of,
    noise,
)


class BodySenderPromises(BodySenderFaultPromises):
    """
    The promises. Inherit from it, and do not import it by name into a test module,
    where it would be taken for a test case itself.
    """

    async def test_interface(self) -> None:
        """
        It provides what the interface asks for.
        """
        sender, _, _ = await self.ends()
        verifyObject(IBodySender, sender)

    async def test_send_all(self) -> None:
        """
        Spans of all kinds go out in order, and each is asked for when the one before
        has been taken, or not at all.
        """
        await self._send_all_kinds(0)
        await self._send_all_kinds(SMALL)

    async def _send_all_kinds(self, buffers: int) -> None:
        sender, _, client = await self.ends(buffers)
        data, before = noise(LARGE), sender.bytes_sent
        file, asked = file_of(self, data), []

        def spans() -> Iterator[Span]:
            for span in (
                memoryview(data)[:1000],
                FileSpan(file, 1000, 2_000_000),
                FileSpan(file, 2_001_000, 0),
                memoryview(data)[2_001_000:3_000_000],
                FileSpan(file, 3_000_000, LARGE - 3_000_000),
            ):
                asked.append(sender.bytes_sent - before)
                yield span

        await sender.send_all(spans())
        self.assertEqual(asked, [0, 1000, 2_001_000, 2_001_000, 3_000_000])
        self.assertEqual(sender.bytes_sent - before, LARGE)
        await sender.send_all(iter(()))
        await sender.send(memoryview(b"!"), False)
        await client.wait_for(LARGE + 1)
        self.assertEqual(bytes(client.received), data + b"!")

    async def test_send_all_of_a_bad_file(self) -> None:
        """
        What is told of a file that is too short is how much of that one went out, and
        no further span is asked for; the rest may be sent from elsewhere.
        """
        for buffers in (0, SMALL):
            sender, _, client = await self.ends(buffers)
            data = noise(LARGE)
            good, short = file_of(self, data), file_of(self, data[:300_000])
            whole = FileSpan(good, 0, LARGE)
            spans = iter((whole, FileSpan(short, 0, 300_001), whole))
            try:
                await sender.send_all(spans)
            except SpanUnreadable as error:
                self.assertEqual(error.taken, 300_000)
            else:
                self.fail("bytes were made up")
            self.assertEqual(list(spans), [whole])
            await sender.send_all(iter((memoryview(b"!"),)))
            await client.wait_for(LARGE + 300_001)
            self.assertEqual(bytes(client.received), data + data[:300_000] + b"!")
            client.connection.loseConnection()

    async def test_send_all_and_reset(self) -> None:
        """
        A client that is gone, or given up, is sent no further span.
        """
        for given_up in (False, True):
            sender, ours, client = await self.ends(SMALL)
            span = memoryview(noise(LARGE))
            spans = iter((span, span, span))
            sending = sender.send_all(spans)
            self.assertRaises(LocalProtocolError, sender.send, span, False)
            await client.wait_for(LARGE + 1000)
            if given_up:
                sending.cancel()
                self.failureResultOf(sending, CancelledError)
            else:
                client.connection.abortConnection()
                await self.assertFailure(sending, ConnectionLost)
            self.assertEqual(len(list(spans)), 1)
            await ours.lost
            sender.close()

    async def test_offer(self) -> None:
        """
        What is offered goes out at once as far as there is room, and is counted; the
        rest can be sent.
        """
        sender, _, client = await self.ends(SMALL)
        self.assertEqual(sender.offer(b"head", memoryview(b"body")), 8)
        await client.wait_for(8)
        data = noise(2 * 1024 * 1024)
        taken = sender.offer(b"", memoryview(data))
        self.assertLess(taken, len(data))
        self.assertEqual(sender.bytes_sent, 8 + taken)
        await sender.send(memoryview(data)[taken:], False)
        await client.wait_for(8 + len(data))
        self.assertEqual(bytes(client.received), b"headbody" + data)

    async def test_offer_of_a_file(self) -> None:
        """
        The same goes for what is in a file.
        """
        sender, _, client = await self.ends(SMALL)
        data = noise(2 * 1024 * 1024)
        span = FileSpan(file_of(self, b"before" + data), 6, len(data))
        taken = sender.offer(b"head", span)
        self.assertIn(taken, range(4, len(data)))
        left = len(data) + 4 - taken
        await sender.send(FileSpan(span.fd, 6 + len(data) - left, left), False)
        await client.wait_for(4 + len(data))
        self.assertEqual(bytes(client.received), b"head" + data)

    async def test_offer_of_a_bad_file(self) -> None:
        """
        Of a file that is too short or cannot be read at most what is there is taken,
        and the rest may come from elsewhere.
        """
        data = noise(9000)
        for descriptor in (file_of(self, data[:5000]), file_of(self, b""), 1 << 30):
            sender, _, client = await self.ends()
            taken = sender.offer(b"head", FileSpan(descriptor, 0, len(data)))
            self.assertLessEqual(taken, 5004)
            left = memoryview(b"head" + data)[taken:]
            await sender.send(left, False)
            await client.wait_for(4 + len(data))
            self.assertEqual(bytes(client.received), b"head" + data)

    async def test_offer_and_reset(self) -> None:
        """
        A client that resets the connection amid an answer that was offered is noticed
        by whoever sends the rest.
        """
        sender, ours, client = await self.ends(SMALL)
        data = noise(2 * 1024 * 1024)
        span = FileSpan(file_of(self, data), 0, len(data))
        taken = sender.offer(b"head", span)
        self.assertLess(taken, len(data))
        await client.wait_for(1000)
        client.connection.abortConnection()
        await ours.lost
        self.assertLessEqual(sender.offer(b"head", span), 4 + len(data))
        sender.close()
        sending = sender.send(memoryview(data)[taken - 4 :], False)
        await self.assertFailure(sending, ConnectionLost)

    async def test_offer_while_sending(self) -> None:
        """
        Nothing is taken while a send is pending, nor after closing.
        """
        sender, _, client = await self.ends(SMALL)
        data = noise(LARGE)
        sending = sender.send(memoryview(data), False)
        self.assertEqual(sender.offer(b"more", memoryview(b"")), 0)
        await sending
        await client.wait_for(LARGE)
        self.assertEqual(bytes(client.received), data)
        sender.close()
        self.assertEqual(sender.offer(b"more", memoryview(b"")), 0)

    async def test_head_and_body(self) -> None:
        """
        A head and a body sent after each other arrive in that order, and are counted.
        """
        sender, _, client = await self.ends()
        await sender.send(memoryview(b"head"), True)
        await sender.send(memoryview(b"body"), False)
        await client.wait_for(8)
        self.assertEqual(bytes(client.received), b"headbody")
        self.assertEqual(sender.bytes_sent, 8)

    async def test_small_send_is_complete_at_once(self) -> None:
        """
        What fits into the kernel's buffer is sent before send returns.
        """
        sender, _, _ = await self.ends()
        self.successResultOf(sender.send(memoryview(b"x" * 1000), False))

    async def test_empty_spans(self) -> None:
        """
        Empty spans of both kinds are sent at once and add nothing.
        """
        sender, _, client = await self.ends()
        fd = file_of(self, b"abc")
        self.successResultOf(sender.send(memoryview(b""), True))
        self.successResultOf(sender.send(FileSpan(fd, 1, 0), True))
        await sender.send(memoryview(b"x"), False)
        await client.wait_for(1)
        self.assertEqual(bytes(client.received), b"x")

    async def test_large_memory_span(self) -> None:
        """
        A large span of memory arrives whole through buffers of any size.
        """
        content = noise(LARGE)
        for buffers in (0, SMALL):
            sender, _, client = await self.ends(buffers)
            await sender.send(memoryview(content), False)
            await client.wait_for(LARGE)
            self.assertEqual(client.received, content)

    async def test_large_file_span(self) -> None:
        """
        A large span from the middle of a file arrives whole through buffers of any
        size, and the file's own position is left alone.
        """
        content = noise(LARGE + 2000)
        fd = file_of(self, content)
        for buffers in (0, SMALL):
            sender, _, client = await self.ends(buffers)
            await sender.send(FileSpan(fd, 1000, LARGE), False)
            await client.wait_for(LARGE)
            self.assertEqual(client.received, content[1000:-1000])

    async def test_many_sends_in_a_row(self) -> None:
        """
        Spans of all sizes and kinds, one after the other, arrive as one stream.
        """
        sender, _, client = await self.ends(SMALL)
        content = noise(3_000_000)
        fd = file_of(self, content)
        rng = random.Random(7)
        start = 0
        while start < len(content):
            size = min(rng.choice((1, 100, 5000, 300_000)), len(content) - start)
            if rng.random() < 0.5:
                await sender.send(memoryview(content)[start : start + size], True)
            else:
                await sender.send(FileSpan(fd, start, size), rng.random() < 0.5)
            start += size
        await sender.send(memoryview(b""), False)
        await client.wait_for(len(content))
        self.assertEqual(client.received, content)
