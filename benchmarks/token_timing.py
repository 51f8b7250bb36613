"""
Whether the time that a refusal takes says anything about the token.

``python -m benchmarks.token_timing`` has the control plane's guard look at tokens that
are wrong from the first character on, at the last one only, too short and too long, in
turns. It prints how long each kind took, and how much two halves of the same kind
differ: what is less than that is noise.
"""

import argparse
import random
import statistics
import time
from collections.abc import Sequence

from twisted.web.http_headers import Headers

from eliop2p.base.secret import Secret
from eliop2p.control.answers import Refusal
from eliop2p.control.tokens import Guard, Role, read_token

TOKEN = "a-t0ken-of-forty-characters-0123456789ab"
KINDS = {
    "wrong from the first character on": "X" + TOKEN[1:],
    "wrong in the last character": TOKEN[:-1] + "X",
    "another altogether": "X" * len(TOKEN),
    "too short": TOKEN[:-1],
    "too long": TOKEN + "X",
}
BATCH = 50


def headers_with(token: str) -> Headers:
    """
    Show a token as nodes do.
    """
    return Headers({b"Authorization": [b"Bearer " + token.encode()]})


def refuse(guard: Guard, headers: Headers) -> float:
    """
    Have a token refused some times.

    Returns:
        Seconds of processor time for each.
    """
    begun = time.thread_time()
    for _ in range(BATCH):
        try:
            guard.check(headers, Role.NODE)
        except Refusal:
            continue
        raise AssertionError("a wrong token was taken")
    return (time.thread_time() - begun) / BATCH


def microseconds(times: Sequence[float]) -> float:
    """
    Give the median.
    """
    return statistics.median(times) * 1e6


def main() -> None:
    """
    Read the command line and measure.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3000)
    given = parser.parse_args()
    join = read_token(Secret(TOKEN))
    guard = Guard(join, read_token(Secret("the-operators-own-token")), lambda: 0.0)
    shown = {kind: headers_with(token) for kind, token in KINDS.items()}
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    kinds, rng = list(KINDS), random.Random(1)
    for _ in range(given.rounds):
        rng.shuffle(kinds)
        for kind in kinds:
            times[kind].append(refuse(guard, shown[kind]))
    noise = 0.0
    for kind, each in times.items():
        print(f"{kind}: {microseconds(each):.3f} us")
        halves = microseconds(each[::2]), microseconds(each[1::2])
        noise = max(noise, abs(halves[0] - halves[1]))
    medians = [microseconds(each) for each in times.values()]
    print(
        f"kinds differ by {max(medians) - min(medians):.3f} us at most, halves of one "
        f"kind by {noise:.3f} us"
    )


if __name__ == "__main__":
    main()
