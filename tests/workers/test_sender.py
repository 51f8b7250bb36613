"""
Tests for :mod:`eliop2p.workers.sender` and :mod:`eliop2p.workers.porter`.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import cast

from twisted.internet.interfaces import IReactorFDSet, IReactorTime, ITCPTransport
from twisted.internet.testing import StringTransport

from eliop2p.base.errors import SpanUnreadable
from eliop2p.interfaces import IBodySender, IStreamTransport
from eliop2p.model.span import FileSpan
from eliop2p.net.copying_sender import TransportSender
from eliop2p.net.sender import SocketSender
from eliop2p.workers import sender as sender_module
from eliop2p.workers.channel import close_all
from eliop2p.workers.messages import Message
from eliop2p.workers.pool import Workers
from eliop2p.workers.process import Ended
from eliop2p.workers.sender import CarriedSender, carried_by
from tests.net import run_senders
from tests.net.body_sender_faults import LARGE, SMALL, file_of, noise
from tests.net.loopback import REACTOR, End, turns
from tests.workers.rigs import InnerSpawn, InnerWorker


def _without_files(worker: InnerWorker) -> Callable[[Message, list[int]], None]:
    """
    Make what takes messages of which descriptors have been lost.
    """

    def received(message: Message, descriptors: list[int]) -> None:
        close_all(descriptors)
        worker.porter._received(message, [])

    return received


class CarriedSenderTests(run_senders.RunSenderPromises):
    """
    :class:`.CarriedSender` keeps every sender's promises with workers that send all
    of every file, and its own.
    """

    def setUp(self) -> None:
        """
        Run two workers.
        """
        self.patch(sender_module, "CARRIED_BYTES", 1)
        self.spawn = InnerSpawn(REACTOR)
        self.workers = Workers(
            2,
            self.spawn,
            cast("IReactorFDSet", REACTOR),
            cast("IReactorTime", REACTOR),
            bounds=(0.1, 1.0),
        )
        self.workers.startService()
        self.addCleanup(self.workers.stopService)

    async def ends(self, buffers: int = 0) -> tuple[CarriedSender, End, End]:
        """
        Connect, with workers that are ready.
        """
        found = await super().ends(buffers)
        await turns()
        self.assertEqual(self.workers.ready, 2)
        sender, ours, client = found
        assert isinstance(sender, CarriedSender)
        return sender, ours, client

    def make(self, end: End) -> CarriedSender:
        """
        Make the sender under test.
        """
        inner = SocketSender(end.connection, REACTOR)
        return CarriedSender(inner, end.connection, self.workers)

    async def test_workers_send(self) -> None:
        """
        Files are sent by workers; what is in memory, or has more behind it, is not.
        """
        sender, _, client = await self.ends()
        content = noise(1000)
        fd = file_of(self, content)
        await sender.send(memoryview(b"head"), True)
        await sender.send(FileSpan(fd, 0, 400), True)
        self.assertEqual(self.workers.sent, 0)
        await sender.send(FileSpan(fd, 400, 600), False)
        self.assertEqual(self.workers.sent, 600)
        await client.wait_for(1004)
        self.assertEqual(client.received, b"head" + content)
        self.assertEqual(sender.bytes_sent, 1004)

    async def test_runs_are_carried(self) -> None:
        """
        Workers send all of a run, each run by one message.
        """
        sender, _, client = await self.ends()
        content = noise(LARGE)
        parts = self.parts_of(content, 16)
        given: list[int] = []
        carry = self.workers.carry

        def counted(
            number: int, spans: Sequence[FileSpan], ended: Callable[[Ended], None]
        ) -> Callable[[], None] | None:
            given.append(len(spans))
            return carry(number, spans, ended)

        self.patch(self.workers, "carry", counted)
        await sender.send_runs(iter((parts[:9], parts[9:])))
        self.assertEqual((given, self.workers.sent), ([9, 7], LARGE))
        await client.wait_for(LARGE)
        self.assertEqual(client.received, content)

    async def test_deaths_amid_a_run(self) -> None:
        """
        When workers die amid a run, in whichever file, the client gets every byte once
        and in order.
        """
        sender, _, client = await self.ends(SMALL)
        content = noise(LARGE)
        sending = sender.send_runs(iter((self.parts_of(content, 7),)))
        for length in (2_000_000, 4_000_000):
            await client.wait_for(length)
            for worker in list(self.spawn.workers):
                if worker.alive and worker.porter._carried:
                    worker.end()
            self.assertNoResult(sending)
        await sending
        await client.wait_for(LARGE)
        self.assertEqual(client.received, content)
        self.assertEqual(self.workers.here, 0)

    async def test_bad_file_amid_a_run_here(self) -> None:
        """
        What is told of a file that is too short is the same when the node sends it.
        """
        self.patch(self.workers, "carry", lambda *_: None)
        await self.test_bad_file_amid_a_run()
        self.assertEqual((self.workers.here, self.workers.sent), (0, 0))

    async def test_no_descriptors_left(self) -> None:
        """
        The node sends what a worker has no descriptors for.
        """
        sender, _, client = await self.ends()
        content = noise(LARGE)
        for worker in self.spawn.workers:
            self.patch(worker.porter._channel, "_received", _without_files(worker))
        await sender.send_runs(iter((self.parts_of(content, 3),)))
        self.assertEqual(self.workers.sent, 0)
        await client.wait_for(LARGE)
        self.assertEqual(client.received, content)

    async def test_progress(self) -> None:
        """
        What a worker has sent of a body counts before it has sent all.
        """
        sender, _, client = await self.ends(SMALL)
        content = noise(LARGE)
        client.connection.pauseProducing()
        sending = sender.send(FileSpan(file_of(self, content), 0, LARGE), False)
        await turns(20)
        self.assertIn(sender.bytes_sent, range(1, LARGE))
        client.connection.resumeProducing()
        await sending
        self.assertEqual(sender.bytes_sent, LARGE)

    async def test_death_of_a_worker(self) -> None:
        """
        When a worker dies amid a body, and the next that has taken over, and there is
        none any more, the client gets every byte once and in order.
        """
        sender, _, client = await self.ends(SMALL)
        content = noise(LARGE)
        sending = sender.send(FileSpan(file_of(self, content), 0, LARGE), False)
        for length in (1_000_000, 2_000_000):
            await client.wait_for(length)
            (busy,) = [
                each
                for each in self.spawn.workers
                if each.alive and each.porter._carried
            ]
            busy.end()
            self.assertNoResult(sending)
        self.assertEqual(self.workers.ready, 0)
        await sending
        await client.wait_for(LARGE)
        self.assertEqual(client.received, content)
        self.assertEqual(sender.bytes_sent, LARGE)
        self.assertEqual((self.workers.here, self.workers.restarts), (0, 2))

    async def test_file_ends_after_a_death(self) -> None:
        """
        How much was sent of a file that turns out to be too short is told from its
        beginning, whoever sent it.
        """
        sender, _, client = await self.ends(SMALL)
        content = noise(LARGE)
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            span = FileSpan(file.fileno(), 0, LARGE)
            sending = sender.send(span, False)
            await client.wait_for(1_000_000)
            os.ftruncate(file.fileno(), 4_000_000)
            for worker in list(self.spawn.workers):
                worker.end()
            with self.assertRaises(SpanUnreadable) as unreadable:
                await sending
        self.assertEqual(unreadable.exception.taken, 4_000_000)
        await sender.send(memoryview(content)[4_000_000:], False)
        await client.wait_for(LARGE)
        self.assertEqual(client.received, content)

    async def test_close_stops_the_worker(self) -> None:
        """
        A worker keeps nothing of a connection that has been closed.
        """
        sender, ours, _ = await self.ends(SMALL)
        sending = sender.send(FileSpan(file_of(self, noise(LARGE)), 0, LARGE), False)
        sending.addErrback(lambda failure: None)
        await turns()
        self.assertEqual(
            sum(len(each.porter._carried) for each in self.spawn.workers), 1
        )
        ours.connection.abortConnection()
        await ours.lost
        sender.close()
        await turns()
        self.assertEqual(
            sum(len(each.porter._carried) for each in self.spawn.workers), 0
        )

    async def test_least_to_do(self) -> None:
        """
        Work goes to the process that has least to do, the node itself included.
        """
        content = noise(LARGE)
        fd = file_of(self, content)
        rigs = [await self.ends(SMALL) for _ in range(6)]
        sendings = []
        for sender, _, client in rigs:
            client.connection.pauseProducing()
            sendings.append(sender.send(FileSpan(fd, 0, LARGE), False))
        await turns()
        loads = [len(each.porter._carried) for each in self.spawn.workers]
        self.assertEqual((loads, self.workers.here), ([2, 2], 2 * LARGE))
        for (_, _, client), sending in zip(rigs, sendings, strict=True):
            client.connection.resumeProducing()
            await sending
            await client.wait_for(LARGE)
            self.assertEqual(client.received, content)
        self.assertEqual(self.workers.here, 0)

    async def test_who_is_helped(self) -> None:
        """
        Workers help those who send from files to sockets, and nobody else.
        """
        _, ours, _ = await self.ends()
        plain = TransportSender(cast("ITCPTransport", StringTransport()))

        def make_plain(_: IStreamTransport) -> IBodySender:
            return plain

        def make_socket(_: IStreamTransport) -> IBodySender:
            sender = SocketSender(ours.connection, REACTOR)
            self.addCleanup(sender.close)
            return sender

        transport = cast("IStreamTransport", ours.connection)
        self.assertIs(carried_by(None, make_socket), make_socket)
        self.assertIs(carried_by(self.workers, make_plain)(transport), plain)
        helped = carried_by(self.workers, make_socket)(transport)
        self.assertIsInstance(helped, CarriedSender)
