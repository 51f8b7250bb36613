"""
Streams of bytes, made by Hypothesis, against the decoder of the protocol between nodes.

    python -m benchmarks.fuzz_frames --streams 100000

What must hold of each is ``check_stream`` in ``tests/wire/test_codec.py``.
"""

import argparse
import sys
import time

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.wire.test_codec import STREAMS, check_stream


def main() -> int:
    """
    Run as many streams as asked for.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=100_000)
    options = parser.parse_args()
    refused: list[bool] = []
    sizes: list[int] = []

    @settings(
        max_examples=options.streams,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(STREAMS, st.integers(0, 1))
    def run(parts: list[bytes], newer: int) -> None:
        sizes.append(sum(map(len, parts)))
        refused.append(check_stream(parts, newer))

    begun = time.process_time()
    run()
    print(
        f"{len(refused)} streams, {sum(sizes)} bytes, the longest {max(sizes)}: "
        f"{sum(refused)} refused, the others understood or unfinished; "
        f"{time.process_time() - begun:.0f} s CPU"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
