"""
Tests for :mod:`eliop2p.base.logger` and :mod:`eliop2p.base.redaction`.
"""

import io
import json
import sys
import warnings
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogBeginner, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.logger import (
    file_observer,
    format_json,
    format_text,
    start_logging,
)
from eliop2p.base.redaction import redact
from eliop2p.base.secret import Secret

NOON = 1767323045.678
"""
2026-01-02T03:04:05.678Z.
"""


class RedactionTests(SynchronousTestCase):
    """
    What is taken out of texts.
    """

    def test_hidden(self) -> None:
        """
        Signatures, tokens, authorizations and passwords are hidden in every form in
        which they come along.
        """
        for text in (
            "GET /b/k?X-Amz-Signature=hunter2&partNumber=1",
            "GET /b/k?Signature=hunter2",
            "GET /b/k?x-oss-signature=hunter2",
            "GET /b/k?X-Amz-Security-Token=hunter2&a=b",
            "GET /b/k?security-token=hunter2",
            "GET /b/k?token=hunter2",
            "Authorization: AWS4-HMAC-SHA256 Credential=AK/x, Signature=hunter2",
            "authorization: OSS AK:hunter2",
            "(b'Authorization', b'Bearer hunter2')",
            "{'Authorization': 'hunter2'}",
            "x-amz-security-token: hunter2",
            "sent Bearer hunter2",
            "http://me:hunter2@store/",
        ):
            self.assertNotIn("hunter2", redact(text), text)
            self.assertIn("(redacted)", redact(text))

    def test_rest_stays(self) -> None:
        """
        What stands around stays readable.
        """
        self.assertEqual(
            redact("GET /b/k?X-Amz-Signature=x&partNumber=1 for 10.0.0.1"),
            "GET /b/k?X-Amz-Signature=(redacted)&partNumber=1 for 10.0.0.1",
        )
        for text in ("authorised tokens: 3", "http://store:9001/a@b", "a=b&c=d"):
            self.assertEqual(redact(text), text)

    @given(st.text(max_size=50))
    def test_once_is_enough(self, text: str) -> None:
        """
        Redacting again changes nothing for texts without secrets.
        """
        once = redact(text)
        if once == text:
            self.assertEqual(redact(once), once)


class TextTests(SynchronousTestCase):
    """
    Log lines for people.
    """

    def test_line(self) -> None:
        """
        A line has the time in UTC, the level, the namespace and the message.
        """
        event = {
            "log_time": NOON,
            "log_level": LogLevel.info,
            "log_namespace": "eliop2p.node",
            "log_format": "listening on {port}",
            "port": 8080,
        }
        self.assertEqual(
            format_text(event),
            "2026-01-02T03:04:05Z INFO  eliop2p.node: listening on 8080\n",
        )

    def test_one_line(self) -> None:
        """
        A message with line ends stays one line, so that none can be forged.
        """
        event = {"log_format": "{name}", "name": "a\r\n2026 ERROR b: c"}
        line = format_text(event)
        assert line is not None
        self.assertEqual(line.count("\n"), 1)
        self.assertIn("a\\r\\n2026", line)

    def test_traceback(self) -> None:
        """
        A traceback follows, indented.
        """
        output = io.StringIO()
        log = Logger("x", observer=file_observer(output, "text"))
        log.failure("failed", Failure(ValueError("token=hunter2")))
        first, *rest = output.getvalue().splitlines()
        self.assertIn("CRITICAL x: failed", first)
        self.assertTrue(all(line.startswith("    ") for line in rest))
        self.assertIn("builtins.ValueError: token=(redacted)", rest[-1])

    def test_nothing_to_say(self) -> None:
        """
        An event without a message is not written.
        """
        self.assertIsNone(format_text({}))
        self.assertIsNone(format_json({}))


class JsonTests(SynchronousTestCase):
    """
    Log lines for machines.
    """

    def test_fields(self) -> None:
        """
        An object holds what identifies the event, its message, and its fields as they
        are, secrets hidden.
        """
        event = {
            "log_time": NOON,
            "log_level": LogLevel.warn,
            "log_namespace": "eliop2p.p2p",
            "log_format": "{peer} sent {count} of {path}",
            "peer": "b",
            "count": 3,
            "path": b"/k?Signature=hunter2",
            "secret": Secret("hunter2"),
            "ratio": float("nan"),
            "level": "taken",
        }
        line = format_json(event)
        assert line is not None
        self.assertNotIn("hunter2", line)
        self.assertEqual(
            json.loads(line),
            {
                "time": "2026-01-02T03:04:05.678Z",
                "level": "WARNING",
                "namespace": "eliop2p.p2p",
                "event": "{peer} sent {count} of {path}",
                "message": "b sent 3 of b'/k?Signature=(redacted)'",
                "peer": "b",
                "count": 3,
                "path": "b'/k?Signature=(redacted)'",
                "secret": "(redacted)",
                "ratio": "nan",
            },
        )

    @given(st.dictionaries(st.text(max_size=5), st.text() | st.floats() | st.binary()))
    def test_any_fields(self, fields: dict[str, object]) -> None:
        """
        Whatever is logged becomes one line of valid JSON.
        """
        event = fields | {"log_format": "event"}
        line = format_json(event)
        assert line is not None
        self.assertEqual(line.count("\n"), 1)
        loaded = json.loads(line, parse_constant=self.fail)
        self.assertEqual(loaded["message"], "event")


class StartTests(SynchronousTestCase):
    """
    Where lines go.
    """

    def start(self, level: str, log_format: str, stream: io.StringIO) -> Logger:
        """
        Start logging in a world of its own.
        """
        publisher = LogPublisher()
        stdio = SimpleNamespace(stdout=sys.stdout, stderr=sys.stderr)
        self.patch(warnings, "showwarning", warnings.showwarning)
        beginner = LogBeginner(publisher, io.StringIO(), stdio, warnings)
        start_logging(level, log_format, stream, beginner)
        return Logger("x", observer=publisher)

    def test_level(self) -> None:
        """
        Less severe messages are left out.
        """
        output = io.StringIO()
        log = self.start("WARNING", "text", output)
        log.info("no")
        log.warn("yes")
        log.error("yes")
        self.assertEqual(output.getvalue().count("yes"), 2)
        self.assertNotIn("no", output.getvalue())

    def test_auto(self) -> None:
        """
        The automatic format is text on a terminal and JSON elsewhere.
        """
        output = io.StringIO()
        self.start("INFO", "auto", output).info("hello")
        self.assertEqual(json.loads(output.getvalue())["message"], "hello")
        terminal = io.StringIO()
        self.patch(terminal, "isatty", lambda: True)
        self.start("INFO", "auto", terminal).info("hello")
        self.assertIn("INFO  x: hello", terminal.getvalue())
