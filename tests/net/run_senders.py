"""
What every sender promises that takes runs, to be inherited with a way to make one.
"""

import os
from collections.abc import Iterator
from typing import Protocol, cast

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from eliop2p.base.errors import SpanUnreadable
from eliop2p.interfaces import IRunSender
from eliop2p.model.span import FileSpan, Run, Span
from tests.net import body_senders
from tests.net.body_sender_faults import LARGE, SMALL, file_of, noise
from tests.net.loopback import End


class RunSender(Protocol):
    """
    A body sender that takes runs.
    """

    bytes_sent: int

    def send(self, span: Span, more: bool) -> Deferred[None]:
        """
        See :meth:`IBodySender.send`.
        """

    def send_runs(self, runs: Iterator[Run]) -> Deferred[None]:
        """
        See :meth:`IRunSender.send_runs`.
        """


class RunSenderPromises(body_senders.BodySenderPromises):
    """
    The promises. Inherit from it, and do not import it by name into a test module,
    where it would be taken for a test case itself.
    """

    async def run_ends(self, buffers: int = 0) -> tuple[RunSender, End, End]:
        """
        Connect, as :meth:`ends` does.
        """
        sender, ours, client = await self.ends(buffers)
        return cast("RunSender", sender), ours, client

    async def test_takes_runs(self) -> None:
        """
        It provides what the interface of those asks for that take runs.
        """
        sender, _, _ = await self.run_ends()
        verifyObject(IRunSender, sender)

    async def test_runs(self) -> None:
        """
        Runs go out whole and in order, among other spans.
        """
        for buffers in (0, SMALL):
            sender, _, client = await self.run_ends(buffers)
            content, before = noise(LARGE), sender.bytes_sent
            parts = self.parts_of(content, 16)
            runs: list[Run] = [parts[:9], parts[9], memoryview(b"!"), parts[10:]]
            await sender.send_runs(iter(runs))
            self.assertEqual(sender.bytes_sent - before, LARGE + 1)
            await client.wait_for(LARGE + 1)
            end = parts[10].offset
            self.assertEqual(client.received, content[:end] + b"!" + content[end:])

    def parts_of(self, content: bytes, count: int) -> tuple[FileSpan, ...]:
        """
        Put the content into files, of which each has a part in its place.
        """
        size = -(-len(content) // count)
        return tuple(
            FileSpan(
                file_of(self, bytes(start) + content[start : start + size]),
                start,
                len(content[start : start + size]),
            )
            for start in range(0, len(content), size)
        )

    async def test_bad_file_amid_a_run(self) -> None:
        """
        What is told of a file that is too short is how much of the run went out, and no
        further run is asked for; the rest may be sent from elsewhere.
        """
        for buffers in (0, SMALL):
            sender, _, client = await self.run_ends(buffers)
            content = noise(LARGE)
            first, second, third = self.parts_of(content, 3)
            os.truncate(second.fd, second.offset + 1_000_000)
            runs = iter((first, (second,), (first, second, third), third))
            with self.assertRaises(SpanUnreadable) as unreadable:
                await sender.send_runs(runs)
            self.assertEqual(unreadable.exception.taken, 1_000_000)
            with self.assertRaises(SpanUnreadable) as unreadable:
                await sender.send_runs(runs)
            taken = len(first) + 1_000_000
            self.assertEqual(unreadable.exception.taken, taken)
            self.assertEqual(list(runs), [third])
            await sender.send(memoryview(content)[taken:], False)
            await client.wait_for(taken + LARGE)
            self.assertEqual(client.received, content[:taken] + content)
