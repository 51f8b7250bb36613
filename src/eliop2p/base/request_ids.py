"""
Names for requests.
"""

import random
from collections.abc import Iterator
from itertools import chain

_AT_ONCE = 256
"""
How many names are made of what is asked of the operating system in one go.
"""


def request_ids(rng: random.Random) -> Iterator[bytes]:
    """
    Make up names of 16 hexadecimal digits.

    Args:
        rng: Where they come from.
    """
    return chain.from_iterable(_batches(rng))


def _batches(rng: random.Random) -> Iterator[list[bytes]]:
    while True:
        digits = rng.randbytes(8 * _AT_ONCE).hex().encode()
        yield [digits[start : start + 16] for start in range(0, len(digits), 16)]
