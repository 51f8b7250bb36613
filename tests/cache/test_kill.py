"""
Tests for the disk tier of a process that is killed.
"""

import random
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.interfaces import IChunkHandle
from eliop2p.testing.conformance import made_up, read_handle
from tests.cache.disk_tools import bytes_below
from tests.cache.filler import CAPACITY, LENGTHS, NUMBERS, backend_at

_ROOT = Path(__file__).parents[2]


class KillTests(SynchronousTestCase):
    """
    A directory outlives the process that writes to it.
    """

    def test_killed(self) -> None:
        """
        Whenever a process is killed, what is found afterwards has the right bytes, and
        the directory never exceeds its capacity.
        """
        rng = random.Random(8)
        path = str(Path(self.mktemp()).absolute())
        for seed in range(6):
            self.kill_after(path, seed, rng.randrange(1, 150))
            self.assertLessEqual(bytes_below(path), CAPACITY)
            files, backend = backend_at(path)
            self.assertEqual(list(Path(path, "tmp").iterdir()), [])
            self.assertEqual(bytes_below(path), backend.usage().used)
            self.check_content(backend)
            self.assertEqual(bytes_below(path), backend.usage().used)
            files.release()
        shutil.rmtree(path)

    def kill_after(self, path: str, seed: int, steps: int) -> None:
        """
        Run a filler and kill it in the middle of what it does then.

        Args:
            path: The directory.
            seed: Decides what it writes.
            steps: How many steps it is to do before.
        """
        filler = subprocess.Popen(
            [sys.executable, "-m", "tests.cache.filler", path, str(seed)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
        )
        with filler:
            assert filler.stdout is not None
            done = filler.stdout.read(steps)
            filler.kill()
        self.assertEqual(len(done), steps)

    def check_content(self, backend: DirectoryBackend) -> None:
        """
        Read all that is held.
        """
        contents = {
            made_up(number)[0]: made_up(number, LENGTHS[number % len(LENGTHS)])[1]
            for number in range(NUMBERS)
        }
        found = list(backend.chunk_ids())
        self.assertTrue(found)
        for chunk_id in found:
            handle: IChunkHandle | None
            handle = self.successResultOf(backend.open(chunk_id))
            assert handle is not None, "a process that is killed tears no files"
            self.assertEqual(read_handle(handle), bytes(contents[chunk_id]))
            handle.close()
