"""
Tests for the LMDB tier.
"""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import lmdb
from blake3 import blake3
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import StartError
from eliop2p.cache.disk_factory import DirectoryFactory
from eliop2p.cache.lmdb_backend import LmdbBackend
from eliop2p.cache.lmdb_factory import LmdbFactory
from eliop2p.cache.lmdb_files import LmdbFiles
from eliop2p.cache.lmdb_rows import Tables
from eliop2p.cache.lmdb_store import Change, LmdbStore
from eliop2p.interfaces import (
    BackendSettings,
    ICacheBackend,
    IChunkHandle,
    IWorker,
)
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.testing.conformance import cache_backend_tests, made_up, read_handle
from tests.cache.disk_tools import bytes_below
from tests.cache.doubles import InlineWorker, SteppedWorker

_KIB = 1024
_CAPACITY = 1024 * _KIB


def make(
    case: SynchronousTestCase,
    settings: BackendSettings,
    dropped: Callable[[ChunkId], None],
) -> ICacheBackend:
    """
    Make an LMDB backend.
    """
    return LmdbFactory().make(settings, InlineWorker(), Clock(), dropped)


LmdbConformanceTests = cache_backend_tests(make, persistent=True)


class FaultyStore(LmdbStore):
    """
    A file on a disk that fails as told.

    Attributes:
        faults: What the next transactions fail with.
        transactions: How many changes each transaction had.
    """

    def __init__(self, files: LmdbFiles, capacity: int, min_free: int) -> None:
        super().__init__(files, capacity, min_free)
        self.faults: list[lmdb.Error] = []
        self.transactions: list[int] = []

    def _write(self, tables: Tables, changes: Sequence[Change]) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.transactions.append(len(changes))
        super()._write(tables, changes)


class LmdbCase(SynchronousTestCase):
    """
    A backend with room for a MiB.
    """

    def setUp(self) -> None:
        """
        Make a backend.
        """
        self.gone: list[ChunkId] = []
        self.clock = Clock()
        self.path = self.mktemp()
        self.begin(InlineWorker())

    def tearDown(self) -> None:
        """
        Let go of the file.
        """
        self.store.abandon()

    def begin(
        self, worker: IWorker, capacity: int = _CAPACITY, min_free: int = 0
    ) -> Deferred[None]:
        """
        Make a backend and start it.
        """
        files = LmdbFiles(self.path)
        files.claim()
        self.store = FaultyStore(files, capacity, min_free)
        settings = BackendSettings(capacity, self.path, 0.9, 0.8, "lru", min_free)
        self.backend = LmdbBackend(
            self.store, settings, worker, self.clock, self.gone.append
        )
        return self.backend.start()

    def crash(self) -> None:
        """
        Die, and begin anew.
        """
        self.store.abandon()
        self.successResultOf(self.begin(InlineWorker()))

    def stop(self) -> None:
        """
        Stop in good order.
        """
        self.successResultOf(self.backend.stop())

    def restart(self) -> None:
        """
        Stop in good order, and begin anew.
        """
        self.stop()
        self.successResultOf(self.begin(InlineWorker()))

    def put(self, number: int, length: int = 4096) -> bool:
        """
        Offer a chunk.
        """
        return self.successResultOf(self.backend.put(*made_up(number, length)))

    def opened(self, number: int) -> IChunkHandle | None:
        """
        Open a chunk.
        """
        return self.successResultOf(self.backend.open(made_up(number)[0]))

    def is_right(self, number: int, length: int = 4096) -> bool:
        """
        Tell whether a chunk is there; it must be right then.
        """
        handle = self.opened(number)
        if handle is None:
            return False
        self.assertEqual(read_handle(handle), bytes(made_up(number, length)[1]))
        handle.close()
        return True

    @property
    def file(self) -> Path:
        """
        The file with the chunks.
        """
        return Path(self.path, "chunks.mdb")

    def damage(self, number: int) -> None:
        """
        Change a bit of a chunk's content in the file, wherever it is.
        """
        content = bytes(made_up(number, 4096)[1])[:64]
        data = bytearray(self.file.read_bytes())
        position = data.find(content)
        self.assertGreater(position, 0)
        while position >= 0:
            with self.file.open("r+b") as file:
                file.seek(position)
                file.write(bytes([content[0] ^ 1]))
            position = data.find(content, position + 1)


class LmdbTests(LmdbCase):
    """
    What the LMDB tier promises beyond the conformance suite.
    """

    def test_lengths(self) -> None:
        """
        Chunks of every length are read as they were written, also after a restart.
        """
        lengths = (0, 1, 2018, 2019, 4079, 4080, 4081, 4096, 6100, 8160, 200_000)
        for number, length in enumerate(lengths):
            self.assertTrue(self.put(number, length))
        self.restart()
        for number, length in enumerate(lengths):
            self.assertTrue(self.is_right(number, length), length)

    def test_small_objects_are_small(self) -> None:
        """
        Chunks of 4 KiB take hardly more than that in the file.
        """
        count = 0
        while self.backend.usage().used < 700 * _KIB:
            self.put(count)
            count += 1
        self.assertLess(self.file.stat().st_size, count * 4096 * 1.1 + 64 * _KIB)

    def test_bounded(self) -> None:
        """
        Whatever comes and goes, nothing in the directory exceeds the capacity, and
        nothing is refused.
        """
        rng = random.Random(5)
        lengths = (1, 700, 4096, 9000, 70_000)
        for _ in range(1500):
            number = rng.randrange(200)
            if rng.random() < 0.2:
                self.backend.remove(made_up(number)[0])
            else:
                self.assertTrue(self.put(number, lengths[number % len(lengths)]))
            self.assertLessEqual(self.backend.usage().used, _CAPACITY)
            self.assertLessEqual(bytes_below(self.path), _CAPACITY)
        self.assertEqual(self.backend.usage().degraded, "")

    def test_killed(self) -> None:
        """
        A chunk that was taken survives the end of the process, one that was removed
        does not come back.
        """
        for number in range(10):
            self.put(number)
        self.successResultOf(self.backend.remove(made_up(3)[0]))
        self.crash()
        held = [number for number in range(10) if self.is_right(number)]
        self.assertEqual(held, [0, 1, 2, 4, 5, 6, 7, 8, 9])

    def test_recency(self) -> None:
        """
        After a restart the chunks that came first are the first to go.
        """
        for number in range(8):
            self.put(number, 60_000)
        self.crash()
        self.assertTrue(self.put(8, 300_000))
        self.assertTrue(self.gone)
        expected = [made_up(number)[0] for number in range(len(self.gone))]
        self.assertEqual(self.gone, expected)

    def test_one_transaction(self) -> None:
        """
        What comes while a transaction is under way goes into the next one together,
        and what is to be dropped does not go with what is to be kept.
        """
        worker = SteppedWorker()
        self.stop()
        started = self.begin(worker)
        worker.finish()
        self.successResultOf(started)
        results = [self.backend.put(*made_up(number, 4096)) for number in range(9)]
        worker.finish()
        self.assertEqual([self.successResultOf(each) for each in results], [True] * 9)
        results = [self.backend.remove(made_up(number)[0]) for number in range(3)]
        results.append(self.backend.put(*made_up(9, 4096)))
        worker.finish()
        self.assertEqual([self.successResultOf(each) for each in results], [True] * 4)
        self.assertEqual(self.store.transactions, [1, 8, 1, 2, 1])

    def test_shared_copy(self) -> None:
        """
        All who have a chunk open share one copy, which goes with the last of them.
        """
        worker = SteppedWorker()
        self.put(1)
        self.stop()
        started = self.begin(worker)
        worker.finish()
        self.successResultOf(started)
        chunk_id = made_up(1)[0]
        opening = [self.backend.open(chunk_id) for _ in range(3)]
        worker.step()
        handles = [self.successResultOf(each) for each in opening]
        self.assertEqual(worker.waiting, [])
        for handle in handles:
            assert handle is not None
            handle.close()
        self.assertEqual(self.backend.open_handles, 0)
        self.backend.open(chunk_id)
        self.assertEqual(len(worker.waiting), 1)
        worker.finish()

    def test_slow_reader(self) -> None:
        """
        A chunk that stays open does not keep the file from being used again.
        """
        self.put(0)
        handle = self.opened(0)
        assert handle is not None
        for number in range(1, 2000):
            self.assertTrue(self.put(number))
        self.assertEqual(read_handle(handle), bytes(made_up(0, 4096)[1]))
        handle.close()

    def test_cancelled(self) -> None:
        """
        A handle that nobody waits for any more is closed.
        """
        worker = SteppedWorker()
        self.put(1)
        self.stop()
        self.begin(worker)
        worker.finish()
        opening = self.backend.open(made_up(1)[0])
        opening.addErrback(lambda _: None)
        opening.cancel()
        worker.finish()
        self.assertEqual(self.backend.open_handles, 0)

    def test_other_content(self) -> None:
        """
        A chunk that is put with another content replaces the one before.
        """
        chunk_id, _, _ = made_up(1)
        _, data, digest = made_up(2, 9000)
        self.put(1)
        used = self.backend.usage().chunks
        self.assertTrue(self.successResultOf(self.backend.put(chunk_id, data, digest)))
        self.assertEqual(self.backend.usage().chunks, used)
        self.crash()
        handle = self.successResultOf(self.backend.open(chunk_id))
        assert handle is not None
        self.assertEqual(read_handle(handle), bytes(data))
        handle.close()

    def test_others_files(self) -> None:
        """
        Files that are not ours are left alone and count against the capacity.
        """
        self.stop()
        stranger = Path(self.path, "stranger")
        stranger.write_bytes(bytes(300 * _KIB))
        self.successResultOf(self.begin(InlineWorker()))
        for number in range(400):
            self.put(number)
        self.assertLessEqual(bytes_below(self.path), _CAPACITY)
        self.assertEqual(self.backend.usage().degraded, "")
        self.assertTrue(stranger.exists())

    def test_smaller_capacity(self) -> None:
        """
        A file that is larger than the capacity has become gives way to a new one,
        since files of LMDB do not shrink.
        """
        for number in range(150):
            self.put(number)
        self.stop()
        with capturedLogs() as logs:
            self.successResultOf(self.begin(InlineWorker(), 600 * _KIB))
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.warn])
        self.assertEqual(self.backend.usage().chunks, 0)
        self.assertTrue(self.put(1))


class LmdbTroubleTests(LmdbCase):
    """
    Damage, disks that fail, machines that go down.
    """

    def test_damaged_content(self) -> None:
        """
        A chunk whose bytes have changed is dropped, told of, counted and absent.
        """
        for number in range(3):
            self.put(number)
        self.damage(1)
        with capturedLogs() as logs:
            self.assertFalse(self.is_right(1))
            self.assertFalse(self.is_right(1))
        self.assertEqual(len(logs), 1)
        self.assertEqual(self.gone, [made_up(1)[0]])
        self.assertEqual(self.backend.usage().corrupt, 1)
        self.crash()
        self.assertFalse(self.is_right(1))
        self.assertTrue(self.is_right(2))

    def test_full(self) -> None:
        """
        A file that is full or a disk that fails is told of once, refuses chunks for 30
        seconds and is then tried again; it is read from all along.
        """
        self.put(1)
        used = self.backend.usage().used
        full = [lmdb.MapFullError("full"), lmdb.MapFullError("full")]
        with capturedLogs() as logs:
            for faults, text in (
                (full, "its file is full"),
                ([lmdb.DiskError("commit: no space")], "commit"),
                ([lmdb.Error("commit: input/output error")], "commit"),
            ):
                self.store.faults = list(faults)
                self.assertFalse(self.put(2))
                self.assertFalse(self.put(3))
                self.assertEqual(self.store.faults, [])
                self.assertIn(text, self.backend.usage().degraded)
                self.assertEqual(self.backend.usage().used, used)
                self.assertTrue(self.is_right(1))
                self.clock.advance(31)
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.error])
        self.assertTrue(self.put(2))
        self.assertEqual(self.backend.usage().degraded, "")

    def test_pages_come_free(self) -> None:
        """
        A file that is full because pages are not free yet is tried again at once.
        """
        self.store.faults = [lmdb.MapFullError("full")]
        self.assertTrue(self.put(1))
        self.assertTrue(self.is_right(1))

    def test_not_dropped(self) -> None:
        """
        A chunk that cannot be dropped from the file goes on counting.
        """
        self.put(1)
        used = self.backend.usage().used
        self.store.faults = [lmdb.DiskError("commit: no space")]
        with capturedLogs():
            self.assertTrue(self.successResultOf(self.backend.remove(made_up(1)[0])))
        self.assertFalse(self.backend.contains(made_up(1)[0]))
        self.assertEqual(self.backend.usage().used, used)

    def test_min_free(self) -> None:
        """
        The file does not grow when its file system would have too little left.
        """
        self.stop()
        found = os.statvfs(self.path)
        free = found.f_bavail * found.f_frsize
        self.successResultOf(self.begin(InlineWorker(), min_free=2 * free))
        with capturedLogs():
            self.assertFalse(self.put(1))
        self.assertIn("min_free_mb", self.backend.usage().degraded)

    def test_cut_while_open(self) -> None:
        """
        A file that is cut or removed while it is in use loses its chunks; the next
        process begins anew.
        """
        for cut in (True, False):
            for number in range(40):
                self.assertTrue(self.put(number))
            if cut:
                os.truncate(self.file, 40 * _KIB)
            else:
                self.file.unlink()
            with capturedLogs():
                self.assertFalse(self.put(50))
                self.assertFalse(any(self.is_right(number) for number in range(40)))
                self.assertNotEqual(self.backend.usage().degraded, "")
                self.stop()
                self.successResultOf(self.begin(InlineWorker()))
            self.assertEqual(self.backend.usage().chunks, 0)

    def test_cut_while_closed(self) -> None:
        """
        A file that was cut, is empty or is none of ours is replaced.
        """
        for length, tail in ((40 * _KIB, b""), (4096, b""), (0, b"garbage" * 4000)):
            for number in range(40):
                self.assertTrue(self.put(number))
            self.stop()
            os.truncate(self.file, length)
            with self.file.open("ab") as file:
                file.write(tail)
            with capturedLogs() as logs:
                self.successResultOf(self.begin(InlineWorker()))
            self.assertEqual([log["log_level"] for log in logs], [LogLevel.warn])
            self.assertEqual(self.backend.usage().chunks, 0)

    def test_machine_went_down(self) -> None:
        """
        A file that was in use when the machine went down is not believed, one that was
        closed in good order is.
        """
        running = Path(self.path, "RUNNING")
        self.put(1)
        self.store.abandon()
        running.write_text("of-another-run 0\n")
        with capturedLogs() as logs:
            self.successResultOf(self.begin(InlineWorker()))
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.warn])
        self.assertFalse(self.is_right(1))
        self.put(1)
        self.stop()
        self.assertFalse(running.exists())
        self.successResultOf(self.begin(InlineWorker()))
        self.assertTrue(self.is_right(1))

    def test_damaged_structure(self) -> None:
        """
        A file whose inner pages are damaged is found out before it ends one process
        after the other; one that is whole outlives any number of deaths.
        """
        for number in range(100):
            self.put(number)
        for _ in range(5):
            self.crash()
            self.assertEqual(self.backend.usage().chunks, 100)
        self.crash()
        self.store.abandon()
        size = self.file.stat().st_size
        with self.file.open("r+b") as file:
            for page in range(4, size // 4096):
                file.seek(page * 4096 + 10)
                file.write(b"\xff" * 60)
        Path(self.path, "RUNNING").write_text(
            Path(self.path, "RUNNING").read_text().split()[0] + " 2\n"
        )
        with capturedLogs() as logs:
            self.successResultOf(self.begin(InlineWorker()))
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.warn])
        self.assertTrue(self.put(1))

    def test_library_sees_damage(self) -> None:
        """
        After damage that LMDB reports the next process begins anew.
        """
        self.put(1)
        self.store.faults = [lmdb.CorruptedError("page")]
        with capturedLogs():
            self.assertFalse(self.put(2))
            self.restart()
        self.assertEqual(self.backend.usage().chunks, 0)


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
        settings = BackendSettings(_CAPACITY, path, 0.9, 0.8, "lru")
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
            self.successResultOf(self.begin(InlineWorker(), 100 * _KIB))
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
        settings = BackendSettings(_CAPACITY, path, 0.9, 0.8, "lru")
        for seed in range(5):
            self.kill_after(path, seed, rng.randrange(20, 300))
            self.assertLessEqual(bytes_below(path), _CAPACITY)
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
