"""
The same seed gives the same run.
"""

import os
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.testing.cluster import Cluster, Plan
from eliop2p.testing.simfaults import NO_FAULT, Fault
from eliop2p.testing.simstore import Asked
from tests.simulation.cases import CHUNK, PATH, made_up

MIB = 1024 * 1024


def run(directory: Path, seed: int) -> str:
    """
    Run a cluster through cold reads, a fault, a death and a restart.

    Returns:
        The fingerprint of all that happened.
    """
    directory.mkdir()
    cluster = Cluster(directory, Plan(nodes=4, seed=seed, disk=64 * MIB))
    cluster.start()
    data = made_up(seed, 40 * CHUNK)
    cluster.store.put(PATH, data)

    def choose(_: Asked) -> Fault:
        return Fault(reset=1000) if len(cluster.store.log) % 7 == 3 else NO_FAULT

    cluster.store.choose = choose
    reads = [cluster.get(member, PATH) for member in cluster.members]
    cluster.until(lambda: cluster.store.sent >= len(data) / 3)
    victim = cluster.members[1]
    cluster.kill_node(victim)
    cluster.wait(gatherResults(reads))
    cluster.start_node(victim)
    cluster.until(cluster.is_settled)
    cluster.store.put(PATH, made_up(seed + 1, 3 * CHUNK))
    cluster.read_all(PATH)
    cluster.stop()
    return cluster.fingerprint()


def run_elsewhere(directory: Path, seed: int, hash_seed: int) -> str:
    """
    Run the same in a process with other hashes of strings.
    """
    code = f"""
from pathlib import Path
from tests.simulation.test_replay import run
print(run(Path({str(directory)!r}), {seed}))
"""
    root = Path(__file__).parents[2]
    path = os.pathsep.join((str(root), *filter(None, sys.path)))
    environ = {
        **os.environ,
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONPATH": path,
    }
    done = subprocess.run(
        (sys.executable, "-c", code), env=environ, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


class ReplayTests(SynchronousTestCase):
    """
    What a failing seed is worth.
    """

    def test_same(self) -> None:
        """
        Two runs from one seed are the same to the last packet.
        """
        one, two = (run(Path(self.mktemp()), 7) for _ in range(2))
        self.assertEqual(one, two)

    def test_other_process(self) -> None:
        """
        So are those of two processes.
        """
        one, two = (
            run_elsewhere(Path(self.mktemp()).resolve(), 7, hash_seed)
            for hash_seed in (1, 2)
        )
        self.assertEqual(one, two)

    def test_other_seed(self) -> None:
        """
        Another seed gives another run.
        """
        one, two = (run(Path(self.mktemp()), seed) for seed in (7, 8))
        self.assertNotEqual(one, two)
