"""
The bound on bytes in flight.
"""

from collections import deque

from twisted.internet.defer import Deferred, succeed


class Room:
    """
    Hands out bytes, first come, first served.

    Who wants more than there is in all gets them when nobody else has any.

    Attributes:
        used: Bytes handed out.

    Args:
        capacity: Bytes there are.
    """

    def __init__(self, capacity: int) -> None:
        self.used = 0
        self._capacity = capacity
        self._waiting: deque[tuple[int, Deferred[None]]] = deque()

    def acquire(self, amount: int) -> Deferred[None]:
        """
        Wait for bytes. Cancelling gives up the place in the queue.
        """
        if self.try_acquire(amount):
            return succeed(None)

        def give_up(cancelled: Deferred[None]) -> None:
            self._waiting.remove((amount, cancelled))
            self._next()

        waiter: Deferred[None] = Deferred(give_up)
        self._waiting.append((amount, waiter))
        return waiter

    def try_acquire(self, amount: int) -> bool:
        """
        Take bytes if there are any left and nobody waits for them.
        """
        if self._waiting or not self._has(amount):
            return False
        self.used += amount
        return True

    def release(self, amount: int) -> None:
        """
        Give bytes back.
        """
        self.used -= amount
        self._next()

    def _has(self, amount: int) -> bool:
        return not self.used or self.used + amount <= self._capacity

    def _next(self) -> None:
        while self._waiting and self._has(self._waiting[0][0]):
            amount, waiter = self._waiting.popleft()
            self.used += amount
            waiter.callback(None)
