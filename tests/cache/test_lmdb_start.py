"""
Tests for how the LMDB tier starts, and starts again after a crash.
"""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import StartError
from eliop2p.cache.disk_factory import DirectoryFactory
from eliop2p.cache.lmdb_backend import LmdbBackend
from eliop2p.cache.lmdb_factory import LmdbFactory
from eliop2p.interfaces import (
    BackendSettings,
    ICacheBackend,
)
from eliop2p.model.chunk import Digest
from eliop2p.testing.conformance import read_handle
from tests.cache.disk_tools import bytes_below
from tests.cache.doubles import InlineWorker
from tests.cache.lmdb_case import CAPACITY, KIB, LmdbCase


class LmdbStartTests(LmdbCase):
    """
    What keeps the tier from starting.
    """

    def refused(self, start: Callable[[], object]) -> str:
        """
        Tell why something does not start.
        """
        return str(self.assertRaises(StartError, start))

    def made(self, factory: LmdbFactory | DirectoryFactory, path: str) -> ICacheBackend:
        """
        Make a backend.
        """
        settings = BackendSettings(CAPACITY, path, 0.9, 0.8, "lru")
        return factory.make(settings, InlineWorker(), self.clock, self.gone.append)

    def test_in_use(self) -> None:
        """
        A directory is used by one process at a time, and the error names it.
        """
        text = self.refused(lambda: self.made(LmdbFactory(), self.path))
        self.assertIn(f"{self.path} is in use", text)

    def test_of_other_backend(self) -> None:
        """
        The directory of another backend is left alone, and the other way round.
        """
        self.stop()
        self.assertIn(
            "format 'lmdb 1'",
            self.refused(lambda: self.made(DirectoryFactory(), self.path)),
        )
        path = self.mktemp()
        backend = self.made(DirectoryFactory(), path)
        self.successResultOf(backend.start())
        self.successResultOf(backend.stop())
        text = self.refused(lambda: self.made(LmdbFactory(), path))
        self.assertIn("format '1'", text)

    def test_unusable(self) -> None:
        """
        A path that cannot be a directory is refused with its name.
        """
        path = self.mktemp()
        Path(path).write_bytes(b"")
        self.assertIn(path, self.refused(lambda: self.made(LmdbFactory(), path)))

    def test_memory(self) -> None:
        """
        It is no memory tier, and says so.
        """
        text = self.refused(lambda: self.made(LmdbFactory(), ""))
        self.assertIn("memory_backend", text)

    def test_too_small(self) -> None:
        """
        A capacity that no file fits into leaves the tier out, and says why.
        """
        self.stop()
        with capturedLogs():
            self.successResultOf(self.begin(InlineWorker(), 100 * KIB))
        self.assertIn("no room", self.backend.usage().degraded)
        self.assertFalse(self.put(1))

    def test_not_installed(self) -> None:
        """
        Without the library the node starts with other backends, and who chooses this
        one is told what to install.
        """
        script = (
            "import sys; sys.modules['lmdb'] = None\n"
            "from eliop2p.base.errors import StartError\n"
            "from eliop2p.cache.registry import find_backend\n"
            "from eliop2p.interfaces import BackendSettings\n"
            "find_backend('directory', 'disk_backend')\n"
            "factory = find_backend('lmdb', 'disk_backend')\n"
            "settings = BackendSettings(1 << 20, 'x', 0.9, 0.8, 'lru')\n"
            "try:\n"
            "    factory.make(settings, None, None, None)\n"
            "except StartError as error:\n"
            "    print(error)\n"
        )
        ran = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        self.assertIn("eliop2p[lmdb]", ran.stdout)
        self.assertEqual(len(ran.stdout.splitlines()), 1)

    def test_not_imported(self) -> None:
        """
        Looking for backends does not import the library.
        """
        script = (
            "import sys; from eliop2p.cache.registry import backend_factories\n"
            "assert 'lmdb' in backend_factories(); assert 'lmdb' not in sys.modules\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True)


class LmdbKillTests(SynchronousTestCase):
    """
    A file outlives the process that writes to it.
    """

    def test_killed(self) -> None:
        """
        Whenever a process is killed, what is found afterwards has the right bytes, and
        the directory never exceeds its capacity.
        """
        rng = random.Random(8)
        path = str(Path(self.mktemp()).absolute())
        settings = BackendSettings(CAPACITY, path, 0.9, 0.8, "lru")
        for seed in range(5):
            self.kill_after(path, seed, rng.randrange(20, 300))
            self.assertLessEqual(bytes_below(path), CAPACITY)
            backend = LmdbFactory().make(
                settings, InlineWorker(), Clock(), lambda _: None
            )
            self.successResultOf(backend.start())
            found = list(backend.chunk_ids())
            self.assertTrue(found)
            for chunk_id in found:
                handle = self.successResultOf(backend.open(chunk_id))
                assert handle is not None, "a process that is killed tears nothing"
                content = read_handle(handle)
                self.assertEqual(Digest(blake3(content).digest()), handle.digest)
                handle.close()
            assert isinstance(backend, LmdbBackend)
            backend._store.abandon()

    def kill_after(self, path: str, seed: int, steps: int) -> None:
        """
        Fill a directory in another process and kill that in the middle of a step.
        """
        filler = subprocess.Popen(
            [sys.executable, "-m", "tests.cache.lmdb_filler", path, str(seed)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        )
        with filler:
            assert filler.stdout is not None
            done = filler.stdout.read(steps)
            filler.kill()
        self.assertEqual(len(done), steps)
