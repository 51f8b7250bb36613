"""
What small objects cost the swarm, by simulation of its real code.

    python -m benchmarks.small_reads [--objects 1000] [--length 8192] [--nodes 8]

Every node reads every object, the nodes one after the other and each 32 objects at a
time; the first reads come from the store. Once with chunks in the answers of their
homes, as nodes do it, and once without, as with nodes that speak protocol 1.0. Half of
the messages ask for the records of objects, and tell of holders.
"""

import argparse
import itertools
import time
from unittest.mock import patch

import attrs

from eliop2p.model.chunk import Layout, ObjectKey, ObjectVersion
from eliop2p.p2p import requests
from eliop2p.testing.crowd import Crowd, CrowdNode
from eliop2p.testing.crowd_parts import CrowdPlan

_AT_ONCE = 32
_STEP = 0.0001
_CHUNK = 256 * 1024


@attrs.frozen
class Cost:
    """
    What the reads cost that did not come from the store.

    Attributes:
        reads: How many there were.
        seconds: Of simulated time.
        cpu: Seconds of the processor.
        messages: Sent by all nodes, but the bytes of chunks.
        sent: Bytes sent by all nodes.
        store: Bytes read from the store for each byte of the objects.
    """

    reads: int
    seconds: float
    cpu: float
    messages: int
    sent: int
    store: float

    def row(self, name: str, length: int) -> str:
        """
        Write a line of the table.
        """
        each, cpu = self.sent / self.reads, self.cpu / self.reads * 1e6
        return (
            f"| {name} | {self.reads / self.seconds:.0f} | "
            f"{cpu:.0f} us | {self.messages / self.reads:.2f} | "
            f"{each:.0f} | {each - length:.0f} | {self.store:.3f} |"
        )


def measure(objects: int, length: int, nodes: int) -> Cost:
    """
    Let every node read every object.
    """
    plan = CrowdPlan(
        nodes=nodes, chunks=1, chunk_size=_CHUNK, scale=1, latency=0.0002, cache=objects
    )
    crowd = Crowd(plan)
    crowd.introduce()
    layouts = [
        Layout(
            ObjectKey(b"http://store", b"bucket", b"%d" % number),
            ObjectVersion(b'"v1"', length),
            _CHUNK,
        )
        for number in range(objects)
    ]
    _read_all(crowd, crowd.nodes[0], layouts)
    before = _sent(crowd)
    begun, cpu = crowd.clock.seconds(), time.process_time()
    for node in crowd.nodes[1:]:
        _read_all(crowd, node, layouts)
    cpu = time.process_time() - cpu
    after = _sent(crowd)
    return Cost(
        reads=objects * (nodes - 1),
        seconds=crowd.clock.seconds() - begun,
        cpu=cpu,
        messages=after[0] - before[0],
        sent=after[1] - before[1],
        store=crowd.origin.sent / (objects * length),
    )


def _sent(crowd: Crowd) -> tuple[int, int]:
    links = [node.links for node in crowd.nodes]
    return sum(x.messages_sent for x in links), sum(x.bytes_sent for x in links)


def _read_all(crowd: Crowd, node: CrowdNode, layouts: list[Layout]) -> None:
    left = iter(layouts)
    reading = [node.read(layout) for layout in itertools.islice(left, _AT_ONCE)]
    while reading:
        crowd.pass_time(_STEP)
        for reader in [each for each in reading if each.ended is not None]:
            assert not reader.error, reader.error
            assert not reader.sender.wrong
            reading.remove(reader)
            layout = next(left, None)
            if layout is not None:
                reading.append(node.read(layout))


def main() -> None:
    """
    Read the arguments, measure and print.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--length", type=int, default=8192)
    parser.add_argument("--nodes", type=int, default=8)
    given = parser.parse_args()
    what = (given.objects, given.length, given.nodes)
    print(
        f"{given.objects} objects of {given.length} bytes, {given.nodes} nodes:\n\n"
        "| chunks | reads/s | CPU/read | messages/read | bytes/read "
        "| beside the object | store |\n|---|---|---|---|---|---|---|"
    )
    with patch.object(requests, "MAX_INLINED", -1):
        print(measure(*what).row("by GET", given.length), flush=True)
    print(measure(*what).row("in answers", given.length))


if __name__ == "__main__":
    main()
