"""
Tests for :mod:`eliop2p.testing.conformance` and for the example in its how-to.
"""

import re
import unittest
from collections.abc import Callable
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.cache.memory import MemoryBackend
from eliop2p.interfaces import (
    BackendSettings,
    CacheUsage,
    ICacheBackend,
    ICacheBackendFactory,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import cache_backend_tests
from eliop2p.testing.workers import ImmediateWorker

_HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-cache-backend.md"


def outcome_of(case: type[SynchronousTestCase]) -> unittest.TestResult:
    """
    Run a test case.
    """
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


class Hoarder(MemoryBackend):
    """
    A backend that says it may hold less than it does.
    """

    def usage(self) -> CacheUsage:
        """
        Tell the truth about the bytes held.
        """
        usage = super().usage()
        return CacheUsage(usage.used + usage.capacity, usage.capacity, usage.chunks)


class ConformanceTests(SynchronousTestCase):
    """
    The suite, and what the docs say of it.
    """

    def test_example(self) -> None:
        """
        The example in the how-to passes the suite.
        """
        names: dict[str, object] = {"__name__": __name__}
        for block in re.findall(r"```python\n(.*?)```", _HOW_TO.read_text(), re.DOTALL):
            exec(block, names)
        factory = names["compressed"]
        assert ICacheBackendFactory.providedBy(factory)

        def make(
            case: SynchronousTestCase,
            settings: BackendSettings,
            dropped: Callable[[ChunkId], None],
        ) -> ICacheBackend:
            return factory.make(settings, ImmediateWorker(), Clock(), dropped)

        result = outcome_of(cache_backend_tests(make))
        self.assertEqual((result.errors, result.failures), ([], []))
        self.assertGreater(result.testsRun, 10)
        verifyObject(ICacheBackendFactory, factory)

    def test_finds_faults(self) -> None:
        """
        A backend that exceeds its capacity does not pass.
        """

        def make(
            case: SynchronousTestCase,
            settings: BackendSettings,
            dropped: Callable[[ChunkId], None],
        ) -> ICacheBackend:
            return Hoarder(settings, Clock(), dropped)

        result = outcome_of(cache_backend_tests(make))
        failed = {test.id().rpartition(".")[2] for test, _ in result.failures}
        self.assertEqual(failed, {"test_capacity", "test_open_while_others_come"})
        self.assertEqual(result.errors, [])
