"""
Random lives of :class:`eliop2p.p2p.directory.Directory`.
"""

from hypothesis import settings

from tests.p2p.directory_machine import DirectoryMachine

DirectoryMachineTests = DirectoryMachine.TestCase
DirectoryMachineTests.settings = settings(max_examples=80, stateful_step_count=50)
