"""
Tests for :mod:`eliop2p.storage.exchange`: how bodies flow both ways.
"""

from eliop2p.base.errors import LocalProtocolError, OriginUnavailable
from tests.storage.doubles import PUT, Asked, Receiver, Source
from tests.storage.origin_case import EMPTY, OK, READ_TIMEOUT, OriginTestCase


class BodyFlowTests(OriginTestCase):
    """
    A body flows at the pace of whoever takes it.
    """

    def start(self) -> Asked:
        """
        Get an answer of 100 bytes of which ten have come.
        """
        asked = self.ask()
        self.wire().say(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", b"x" * 45
        )
        return asked

    def test_starts_paused(self) -> None:
        """
        Nothing is read between the head and the delivery of the body.
        """
        asked = self.start()
        self.assertTrue(self.wire().paused)
        self.assertEqual(self.origin.bytes_in, 10)
        receiver = asked.read()
        self.assertEqual(len(receiver.data), 55)
        self.assertFalse(self.wire().paused)

    def test_pause(self) -> None:
        """
        A paused body pauses the connection; resumed, it goes on where it was.
        """
        asked = self.start()
        receiver = asked.read()
        asked.answer.pause()
        self.assertTrue(self.wire().paused)
        self.wire().say(b"y" * 45)
        self.assertEqual(len(receiver.data), 55)
        asked.answer.resume()
        self.assertEqual(receiver.data, b"0123456789" + b"x" * 45 + b"y" * 45)
        self.assertEqual(receiver.ends, [None])
        self.assert_quiet()

    def test_pause_before_delivery(self) -> None:
        """
        A body paused before its delivery waits.
        """
        asked = self.start()
        asked.answer.pause()
        receiver = asked.read()
        self.assertEqual(receiver.data, b"")
        asked.answer.resume()
        self.assertEqual(len(receiver.data), 55)

    def test_pause_within(self) -> None:
        """
        A receiver that pauses at each read gets one read at a time.
        """
        asked = self.start()
        answer = asked.answer
        receiver = Receiver(answer.pause)
        answer.deliver(receiver)
        self.assertEqual((receiver.reads, self.wire().paused), (1, True))
        answer.resume()
        self.assertEqual((receiver.reads, self.wire().paused), (2, True))

    def test_pause_and_resume_within(self) -> None:
        """
        A receiver that pauses and resumes within one read keeps the body flowing.
        """
        asked = self.start()
        answer = asked.answer

        def blink() -> None:
            answer.pause()
            answer.resume()

        receiver = Receiver(blink)
        answer.deliver(receiver)
        self.wire().say(b"y" * 45)
        self.assertEqual((len(receiver.data), receiver.ends), (100, [None]))

    def test_late_reads(self) -> None:
        """
        Bytes that come although the connection is paused, as TLS may give them, are
        kept in order, and so is the end.
        """
        asked = self.start()
        receiver = asked.read()
        asked.answer.pause()
        client = self.wire()._client
        client.dataReceived(b"y" * 40)
        client.dataReceived(b"z" * 5)
        self.assertEqual((len(receiver.data), receiver.ends), (55, []))
        asked.answer.resume()
        self.assertEqual((receiver.data[-5:], receiver.ends), (b"z" * 5, [None]))
        self.assertFalse(self.wire().paused)
        self.assert_quiet()

    def test_abort(self) -> None:
        """
        An aborted body closes its connection; the receiver hears nothing more.
        """
        asked = self.start()
        receiver = asked.read()
        asked.answer.abort()
        asked.answer.abort()
        self.wire().say(b"y" * 45)
        self.turn()
        self.assertFalse(self.wire().open)
        self.assertEqual((len(receiver.data), receiver.ends), (55, []))
        self.assert_quiet()

    def test_abort_within(self) -> None:
        """
        A receiver may abort from within its last read.
        """
        asked = self.ask()
        self.wire().say(OK, b"hello")
        receiver = Receiver(asked.answer.abort)
        asked.answer.deliver(receiver)
        self.assertEqual((receiver.data, receiver.ends), (b"hello", []))
        self.assert_quiet()

    def test_abort_after_end(self) -> None:
        """
        Aborting what has ended closes nothing.
        """
        asked = self.ask()
        self.wire().say(OK + b"hello")
        asked.answer.abort()
        self.turn()
        self.assertTrue(self.wire().open)
        self.assert_quiet()

    def test_deliver_once(self) -> None:
        """
        A body is delivered to one receiver.
        """
        asked = self.start()
        asked.read()
        with self.assertRaises(LocalProtocolError):
            asked.read()


class UploadTests(OriginTestCase):
    """
    Request bodies are forwarded at the pace of the slower side.
    """

    def setUp(self) -> None:
        """
        Begin an upload.
        """
        super().setUp()
        self.source = Source()
        self.asked = self.ask(PUT, self.source)

    def test_forwarded(self) -> None:
        """
        The body follows the head as it is, and the connection is used again.
        """
        self.source.write(b"abc")
        self.source.write(b"def")
        self.source.finished()
        self.assertEqual(self.wire().sent(), PUT.serialize() + b"abcdef")
        self.wire().say(EMPTY)
        self.assertEqual(self.asked.read().ends, [None])
        self.assertEqual(self.source.calls, ["start"])
        self.assertTrue(self.wire().open)
        self.assert_quiet()

    def test_back_pressure(self) -> None:
        """
        A transport that is full pauses the source, and resumes it.
        """
        self.wire().block()
        self.wire().unblock()
        self.assertEqual(self.source.calls, ["start", "pause", "resume"])

    def test_continue(self) -> None:
        """
        100 Continue is handed on while the body waits; then the body follows.
        """
        self.wire().say(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual([head.status for head in self.asked.interims], [100])
        self.assertEqual(self.asked.answers, [])
        self.source.write(b"abcdef")
        self.source.finished()
        self.wire().say(EMPTY)
        self.assertEqual(self.asked.answer.head.status, 200)

    def test_early_answer(self) -> None:
        """
        An answer before the end of the body is given at once; the body is stopped and
        the connection closed after the answer.
        """
        self.source.write(b"abc")
        self.wire().say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nnev")
        self.assertEqual(self.asked.answer.head.status, 403)
        self.assertEqual(self.source.calls, ["start", "stop"])
        self.source.write(b"def")
        self.assertTrue(self.wire().sent().endswith(b"\r\n\r\nabc"))
        receiver = self.asked.read()
        self.turn()
        self.assertTrue(self.wire().open)
        self.wire().say(b"er!")
        self.assertEqual((receiver.data, receiver.ends), (b"never!", [None]))
        self.turn()
        self.assertFalse(self.wire().open)
        self.assert_quiet()

    def test_client_breaks_off(self) -> None:
        """
        A body that breaks off closes the connection: half an object must not be kept.
        """
        self.source.write(b"abc")
        self.source.failed()
        self.assertIsInstance(self.asked.errors[0], OriginUnavailable)
        self.turn()
        self.assertFalse(self.wire().open)
        self.assert_quiet()

    def test_store_breaks_off(self) -> None:
        """
        A connection lost during the upload stops the source.
        """
        self.wire().hang_up()
        self.assertEqual(self.source.calls, ["start", "stop"])
        self.assertIsInstance(self.asked.errors[0], OriginUnavailable)
        self.assert_quiet()

    def test_slow_client(self) -> None:
        """
        A client may take its time; the store's begins when the request is complete.
        """
        self.clock.advance(READ_TIMEOUT * 5)
        self.source.write(b"abcdef")
        self.assertEqual(self.asked.errors, [])
        self.source.finished()
        self.clock.advance(READ_TIMEOUT)
        self.assertIsInstance(self.asked.errors[0], OriginUnavailable)
        self.assert_quiet()

    def test_stuck_store(self) -> None:
        """
        A store that takes nothing more of the body is given up.
        """
        self.wire().block()
        self.clock.advance(READ_TIMEOUT)
        self.assertIsInstance(self.asked.errors[0], OriginUnavailable)
        self.assertEqual(self.source.calls[-1], "stop")
        self.turn()
        self.assert_quiet()
