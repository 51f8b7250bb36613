"""
Opening the ports that an operator has configured.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.internet.error import CannotListenError

from eliop2p.base.errors import StartError


@contextmanager
def opening(host: str, port: int, setting: str) -> Iterator[None]:
    """
    Explain why a configured port cannot be had.

    Args:
        host: The address to listen on.
        port: The port.
        setting: The section and key that choose the port.

    Raises:
        StartError: It cannot be had.
    """
    try:
        yield
    except CannotListenError as error:
        reason = getattr(error.socketError, "strerror", None) or error.socketError
        raise StartError(
            f"cannot listen on {host}:{port}: {reason}; "
            f"free the port or choose another with {setting}"
        ) from error
