"""
Kills processes that fill a disk tier, and looks at what they leave.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import attrs
from twisted.internet.task import Clock

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.interfaces import BackendSettings, IChunkHandle
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import made_up, read_handle
from tests.cache.crash_filler import CAPACITY, NUMBERS, length_of
from tests.cache.disk_tools import bytes_below
from tests.cache.doubles import InlineWorker

_ROOT = Path(__file__).parents[2]
_NUMBERS = {made_up(number)[0]: number for number in range(NUMBERS)}


@attrs.define
class Tally:
    """
    What a number of crashes has shown.

    Attributes:
        crashes: How many processes were killed.
        puts: How many chunks were said to be held.
        synced: How many were said to be synced.
        found: How many chunks were found by the next process.
        wrong: How many of those could not be read.
        wrong_bytes: How many were read with wrong bytes.
        lost: How many were gone that had been said to be held, and not to be gone.
        lost_synced: How many of those had been said to be synced.
        over: How often there were more bytes than there may be.
        most: The most bytes there were.
    """

    crashes: int = 0
    puts: int = 0
    synced: int = 0
    found: int = 0
    wrong: int = 0
    wrong_bytes: int = 0
    lost: int = 0
    lost_synced: int = 0
    over: int = 0
    most: int = 0


@attrs.define
class _Said:
    """
    What a process has said.
    """

    held: set[int] = attrs.field(factory=set)
    synced: set[int] = attrs.field(factory=set)

    def forget(self, number: int) -> None:
        """
        It is gone, and that has been said.
        """
        self.held.discard(number)
        self.synced.discard(number)

    def hear(self, line: str, tally: Tally) -> None:
        """
        Take note of a line.
        """
        what, _, text = line.partition(" ")
        number = int(text)
        if what == "held":
            self.held.add(number)
            tally.puts += 1
        elif what == "synced":
            self.synced.add(number)
            tally.synced += 1
        else:
            self.forget(number)


class Crashes:
    """
    One directory, and the processes that die over it.

    Attributes:
        tally: What was found so far.

    Args:
        path: The directory.
        seed: Decides when they die.
        pause: Seconds that they go on at most after what they have said.
    """

    def __init__(self, path: str, seed: int, *, pause: float = 0.01) -> None:
        self.tally = Tally()
        self._path = path
        self._rng = random.Random(seed)
        self._said = _Said()
        self._pause = pause

    def crash(self, seed: int) -> None:
        """
        Run a process, kill it in the middle of what it does, and look.
        """
        seconds = self._rng.random() * self._pause
        self._kill_after(seed, self._rng.randrange(1, 400), seconds)
        self.tally.crashes += 1
        self._weigh()
        files = ChunkFiles(self._path)
        files.claim()
        settings = BackendSettings(CAPACITY, self._path, 1.0, 0.95, "lru")
        evicted: list[ChunkId] = []
        backend = DirectoryBackend(
            files, settings, InlineWorker(), Clock(), evicted.append
        )
        backend.start()
        self._weigh()
        # What a dead process was writing takes room from chunks at the next start.
        for chunk_id in evicted:
            self._said.forget(_NUMBERS[chunk_id])
        self._look(backend)
        stopped: list[None] = []
        backend.stop().addCallback(stopped.append)
        assert stopped == [None], "the tier waits for something"

    def _kill_after(self, seed: int, lines: int, seconds: float) -> None:
        command = [sys.executable, "-m", "tests.cache.crash_filler"]
        process = subprocess.Popen(
            [*command, self._path, str(seed)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            for _ in range(lines):
                line = process.stdout.readline()
                assert line, "the process has ended by itself"
                self._said.hear(line, self.tally)
            threading.Event().wait(seconds)
            # Nothing is said any more once a subclass has taken the disk away.
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            self.killing()
            process.kill()
            for line in process.stdout:
                if line.endswith("\n"):
                    self._said.hear(line, self.tally)
        self.killed()

    def killing(self) -> None:
        """
        A process is about to be killed.
        """

    def killed(self) -> None:
        """
        A process has been killed.
        """

    def _weigh(self) -> None:
        size = bytes_below(self._path)
        self.tally.most = max(self.tally.most, size)
        self.tally.over += size > CAPACITY

    def _look(self, backend: DirectoryBackend) -> None:
        present = set()
        for number in range(NUMBERS):
            chunk_id, data, _ = made_up(number, length_of(number))
            if backend.contains(chunk_id):
                self.tally.found += 1
                handles: list[IChunkHandle | None] = []
                backend.open(chunk_id).addCallback(handles.append)
                (handle,) = handles
                if handle is None:
                    self.tally.wrong += 1
                    continue
                self.tally.wrong_bytes += read_handle(handle) != data
                handle.close()
                present.add(number)
        self.tally.lost += len(self._said.held - present)
        self.tally.lost_synced += len(self._said.synced - present)
        self._said.held = present
        self._said.synced &= present
