"""
A token bucket: what may pass at a rate, with little more at once.
"""

import math


class TokenBucket:
    """
    Says when so many units may pass.

    In any time t no more than rate * t + burst pass, where each time the bucket is
    asked for at most burst. What is larger waits for a full bucket, and those after it
    wait until its excess has been paid off.

    Args:
        rate: Units per second; infinite for no limit.
        burst: Units that may pass at once after a rest.
        now: The time in seconds.
    """

    def __init__(self, rate: float, burst: float, now: float) -> None:
        if not rate > 0 or not burst > 0:
            raise ValueError("a token bucket needs a rate and a burst above 0")
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    @property
    def rate(self) -> float:
        """
        Units per second.
        """
        return self._rate

    def change(self, rate: float, burst: float, now: float) -> None:
        """
        Go on at another rate.
        """
        self._fill(now)
        self._rate, self._burst = rate, burst
        self._tokens = min(self._tokens, burst)

    def wait(self, size: float, now: float) -> float:
        """
        Tell in how many seconds units may pass; 0 when at once.
        """
        self._fill(now)
        missing = min(size, self._burst) - self._tokens
        # Less than this is the rounding of times, which are large numbers.
        if math.isinf(self._rate) or missing <= 1e-6 * self._burst:
            return 0.0
        return missing / self._rate

    def take(self, size: float, now: float) -> None:
        """
        Let units pass, whether they may or not: what is taken too early is owed.
        """
        self._fill(now)
        if not math.isinf(self._rate):
            self._tokens -= size

    def _fill(self, now: float) -> None:
        if math.isinf(self._rate):
            self._tokens = self._burst
        else:
            grown = self._tokens + self._rate * max(0.0, now - self._at)
            self._tokens = min(self._burst, grown)
        self._at = max(self._at, now)
