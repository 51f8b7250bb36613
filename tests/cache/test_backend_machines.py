"""
Random lives of every backend that comes with the package.
"""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from tests.cache.backend_machine import machine_for
from tests.cache.backend_rigs import RIGS


class BackendMachineTests(SynchronousTestCase):
    """
    Runs the machines.
    """

    def lives(self, name: str) -> None:
        """
        Run the machine of one backend.
        """
        machine = machine_for(RIGS[name])
        run_state_machine_as_test(
            machine, settings=settings(max_examples=30, deadline=None)
        )
        self.assertGreater(machine.counts["crashes"], 0)

    def test_memory(self) -> None:
        """
        The memory tier holds what it was given until it says otherwise.
        """
        self.lives("memory")

    def test_directory(self) -> None:
        """
        Only right bytes are read from the directory tier, whatever happens to it.
        """
        self.lives("directory")

    def test_lmdb(self) -> None:
        """
        Only right bytes are read from the LMDB tier, whatever happens to it.
        """
        self.lives("lmdb")
