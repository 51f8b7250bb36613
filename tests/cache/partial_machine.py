"""
Random lives of partial chunks on a disk, with crashes and damage, against dictionaries
of bytes.
"""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.task import Clock

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.layout import size_on_disk
from eliop2p.cache.partial_layout import PARTIAL, RECORD, PartialName
from eliop2p.interfaces import BackendSettings
from eliop2p.model.chunk import Chunk
from eliop2p.testing.conformance import made_up, read_handle
from eliop2p.testing.partials import bytes_of
from tests.cache.backend_machine import result_of
from tests.cache.disk_tools import FaultyFiles, bytes_below
from tests.cache.doubles import InlineWorker

LENGTH = 9000
CAPACITY = 320 * 1024
NUMBERS = st.integers(0, 9)
_PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None


class PartialMachine(RuleBasedStateMachine):
    """
    A tier beside what was put into it: bytes by place for chunks that are not whole.

    What is read is always right. What the tier lists is there, unless it was damaged.

    Attributes:
        counts: What happened in all lives.
    """

    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.path = tempfile.mkdtemp(dir=_PLACE)
        self.kept: dict[int, set[int]] = {}
        self.hurt: set[int] = set()
        self.whole: set[int] = set()
        self.begin()

    def teardown(self) -> None:
        """
        Remove everything.
        """
        self.files.release()
        shutil.rmtree(self.path)

    def begin(self) -> None:
        """
        Make a tier as a new process would, and start it.
        """
        self.files = FaultyFiles(self.path)
        self.files.claim()
        self.backend = DirectoryBackend(
            self.files,
            BackendSettings(CAPACITY, self.path, 0.9, 0.8, "lru"),
            InlineWorker(),
            Clock(),
            lambda _: None,
        )
        self.backend.start()

    def listed(self, number: int) -> set[int]:
        """
        Give the places that the tier lists.
        """
        extents = self.backend.extents_of(made_up(number)[0])
        return {place for each in extents for place in range(each.start, each.stop)}

    def path_of(self, number: int) -> Path:
        """
        Give the file of a partial chunk.
        """
        return Path(self.path, PartialName(made_up(number)[0], LENGTH).path)

    @rule(
        number=NUMBERS,
        cuts=st.lists(st.integers(0, LENGTH), min_size=2, max_size=6, unique=True),
        store=st.booleans(),
    )
    def keep(self, number: int, cuts: list[int], *, store: bool) -> None:
        """
        Keep parts of a chunk.
        """
        chunk_id, data, _ = made_up(number, LENGTH)
        cuts = sorted(cuts)[: len(cuts) // 2 * 2]
        extents = list(zip(cuts[::2], cuts[1::2], strict=True))
        pieces = [(start, data[start:stop]) for start, stop in extents]
        chunk = Chunk(chunk_id, number, 0, LENGTH)
        kept = result_of(self.backend.checkpoint(chunk, pieces, store))
        assert not (kept and number in self.whole)
        if kept:
            places = {place for extent in extents for place in range(*extent)}
            self.kept[number] = self.kept.get(number, set()) | places
            self.counts["checkpoints"] += 1

    @rule(number=NUMBERS)
    def load(self, number: int) -> None:
        """
        What is loaded is right, and all that is listed when nobody has damaged it.
        """
        listed = self.listed(number)
        partial = result_of(self.backend.load(made_up(number)[0]))
        content = bytes_of(partial, LENGTH) if partial else {}
        data = made_up(number, LENGTH)[1]
        assert all(data[place] == byte for place, byte in content.items())
        assert set(content) <= self.kept.get(number, set())
        if number in self.hurt:
            self.counts["found out"] += set(content) < self.kept[number]
        else:
            assert listed <= set(content)
            assert content or number not in self.kept

    @rule(number=NUMBERS)
    def put(self, number: int) -> None:
        """
        Put the chunk, whole.
        """
        if result_of(self.backend.put(*made_up(number, LENGTH))):
            self.whole.add(number)
            self.counts["wholes"] += bool(self.kept.pop(number, None))
            self.hurt.discard(number)

    @rule(number=NUMBERS)
    def read(self, number: int) -> None:
        """
        A chunk that was whole is read right, or not at all.
        """
        handle = result_of(self.backend.open(made_up(number)[0]))
        if handle is None:
            self.whole.discard(number)
            return
        assert number in self.whole
        assert read_handle(handle) == made_up(number, LENGTH)[1]
        handle.close()

    @rule(number=NUMBERS)
    def drop(self, number: int) -> None:
        """
        Drop what there is of a chunk.
        """
        result_of(self.backend.discard(made_up(number)[0]))
        result_of(self.backend.remove(made_up(number)[0]))
        self.kept.pop(number, None)
        self.hurt.discard(number)
        self.whole.discard(number)

    @rule(polite=st.booleans(), torn=st.binary(max_size=RECORD))
    def restart(self, polite: bool, torn: bytes) -> None:
        """
        Stop or die, perhaps while a list is being written, and begin anew.
        """
        before = {number: self.listed(number) for number in self.kept}
        if polite:
            result_of(self.backend.stop())
        elif self.kept:
            path = self.path_of(min(self.kept))
            if path.exists() and min(self.kept) not in self.hurt:
                with path.open("ab") as file:
                    file.write(torn)
        self.files.release()
        self.begin()
        self.counts["stops" if polite else "crashes"] += 1
        for number, places in before.items():
            # What damages a hole fills it, so that there is less room for others.
            given_up = self.hurt and not self.path_of(number).exists()
            hurt = number in self.hurt or given_up
            assert hurt or self.listed(number) == places

    @rule(
        number=NUMBERS,
        place=st.integers(0, size_on_disk(LENGTH) + 3 * RECORD),
        kind=st.sampled_from(["flip", "cut", "unlink"]),
    )
    def damage(self, number: int, place: int, kind: str) -> None:
        """
        Damage a file behind the tier's back.
        """
        there = [each for each in sorted(self.kept) if self.path_of(each).exists()]
        if not there:
            return
        number = there[number % len(there)]
        path = self.path_of(number)
        content = path.read_bytes()
        if not content:
            return
        place %= len(content)
        self.hurt.add(number)
        self.counts["damages"] += 1
        if kind == "unlink":
            path.unlink()
        elif kind == "cut":
            os.truncate(path, place)
        else:
            with path.open("r+b") as file:
                file.seek(place)
                file.write(bytes([content[place] ^ 4]))

    @invariant()
    def bounded(self) -> None:
        """
        The tier lists nothing that it was not given, within its capacity.
        """
        self.counts["steps"] += 1
        usage = self.backend.usage()
        assert 0 <= usage.used <= CAPACITY
        if not self.hurt:  # What damages a hole fills it.
            assert bytes_below(self.path) <= usage.used, "more than is counted"
        files = list(Path(self.path, PARTIAL).iterdir())
        assert len(files) <= usage.partial
        for number in range(10):
            listed = self.listed(number)
            assert listed <= self.kept.get(number, set())
            if not (listed or self.path_of(number).exists() or number in self.hurt):
                self.kept.pop(number, None)
