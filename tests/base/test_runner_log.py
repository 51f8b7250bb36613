"""
Tests for :mod:`eliop2p.base.runner_log`, with the real twist and twistd.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.python.usage import Options
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.runner_log import logged_service

TWIST = ("-m", "twisted")
TWISTD = ("-c", "from twisted.scripts.twistd import run; run()")

PLUGIN = """
from twisted.application.service import ServiceMaker
maker = ServiceMaker("x", "logging_tap", "x", "logging-tap")
"""

TAP = """
from twisted.application.service import Service
from twisted.logger import Logger
from twisted.python import usage
from eliop2p.base.runner_log import logged_service

log = Logger("tap")

class Options(usage.Options):
    optParameters = [["level", None, "INFO", ""], ["format", None, "text", ""]]

class Speaker(Service):
    def startService(self):
        from twisted.internet import reactor
        log.info("early {q}", q="Signature=hunter2")
        log.debug("detail")
        reactor.callWhenRunning(log.warn, "running")
        reactor.callWhenRunning(reactor.stop)

def makeService(options):
    service = logged_service(options, options["level"], options["format"])
    Speaker().setServiceParent(service)
    return service
"""


class RunnerLogTests(SynchronousTestCase):
    """
    How the log of a plugin looks.
    """

    def setUp(self) -> None:
        """
        Write a plugin that speaks and stops.
        """
        self.directory = Path(self.mktemp()).absolute()
        plugins = self.directory / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "logging_plugin.py").write_text(PLUGIN)
        (self.directory / "logging_tap.py").write_text(TAP)

    def run_plugin(self, command: tuple[str, ...], *arguments: str) -> str:
        """
        Run a command of Twisted with the plugin and give what it wrote.
        """
        done = subprocess.run(
            [sys.executable, *command, *arguments],
            cwd=self.directory,
            env=os.environ | {"PYTHONPATH": str(self.directory)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_twist(self) -> None:
        """
        Under twist every line is ours, what was logged before it began included.
        """
        lines = self.run_plugin(TWIST, "logging-tap").splitlines()
        self.assertIn("INFO  tap: early Signature=(redacted)", lines[0])
        self.assertEqual([line for line in lines if "running" in line], [lines[2]])
        self.assertIn("WARNING tap: running", lines[2])

    def test_twist_level_and_format(self) -> None:
        """
        The configured level and format hold under twist.
        """
        arguments = ("logging-tap", "--level", "WARNING", "--format", "json")
        (line,) = self.run_plugin(TWIST, *arguments).splitlines()
        self.assertEqual(json.loads(line)["message"], "running")

    def test_twist_flags(self) -> None:
        """
        The level that twist itself was given goes before the configured one, and the
        format it was given is what auto means.
        """
        flags = ("--log-level", "debug", "--log-format", "text")
        output = self.run_plugin(TWIST, *flags, "logging-tap", "--format", "auto")
        self.assertIn("DEBUG tap: detail", output)

    def test_twistd(self) -> None:
        """
        Under twistd every line is ours and none comes twice.
        """
        output = self.run_plugin(TWISTD, "-n", "--pidfile=", "logging-tap")
        self.assertEqual(output.count("INFO  tap: early Signature=(redacted)"), 1)
        self.assertEqual(output.count("running"), 1)

    def test_twistd_file(self) -> None:
        """
        Under twistd lines go to the file that it was told.
        """
        arguments = ("-n", "--pidfile=", "--logfile=node.log", "logging-tap")
        output = self.run_plugin(TWISTD, *arguments, "--format", "auto")
        self.assertEqual(output, "")
        text = (self.directory / "node.log").read_text()
        messages = [json.loads(line)["message"] for line in text.splitlines()]
        self.assertIn("running", messages)

    def test_without_runner(self) -> None:
        """
        Options that belong to no runner make a service all the same.
        """
        service = logged_service(Options(), "INFO", "text")
        self.assertEqual(list(service), [])
