"""
Fuzzing the HTTP/1.1 codec with atheris, which must be installed beside the product.

    python -m benchmarks.fuzz_heads -max_total_time=600 [CORPUS]

Options are those of libFuzzer. The first two bytes of an input say where to cut the
others; what must hold then is in ``tests/http1/head_properties.py``.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["eliop2p.http1", "eliop2p.model.ranges"]):
    from tests.http1.head_properties import check
    from tests.http1.test_heads_fuzzed import TOKENS


def one_input(data: bytes) -> None:
    """
    Check one input.
    """
    check(data[2:], [data[0] if data else 0, 7 * data[1] if data[1:] else 0])


def main() -> None:
    """
    Write a dictionary of what messages are made of, and fuzz until told otherwise.
    """
    dictionary = Path(tempfile.mkdtemp(prefix="eliop2p-fuzz-"), "dictionary")
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in each) + '"' for each in TOKENS)
    dictionary.write_text("\n".join(lines) + "\n", encoding="ascii")
    arguments = [*sys.argv, f"-dict={dictionary}", "-max_len=4096"]
    atheris.Setup(arguments, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
