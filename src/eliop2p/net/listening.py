"""
Opening the ports that an operator has configured.
"""

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from eliop2p.base.errors import StartError
from eliop2p.interfaces import INetwork


def listen(
    network: INetwork, host: str, port: int, factory: IProtocolFactory, setting: str
) -> IListeningPort:
    """
    Accept connections on a configured port.

    Args:
        network: Where.
        host: The address to listen on.
        port: The port.
        factory: Takes the connections.
        setting: The section and key that choose the port, for the error.

    Raises:
        StartError: The port cannot be had.
    """
    try:
        return network.listen(host, port, factory)
    except CannotListenError as error:
        reason = error.socketError.strerror or str(error.socketError)
        raise StartError(
            f"cannot listen on {host}:{port}: {reason}; "
            f"free the port or choose another with {setting}"
        ) from error
