"""
The operator's port as a service.
"""

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from eliop2p.interfaces import INetwork
from eliop2p.net.listening import opening


class AdminServer(Service):
    """
    Listens for operators.
    """

    name = "admin"

    def __init__(
        self, site: IProtocolFactory, network: INetwork, host: str, port: int
    ) -> None:
        self._site = site
        self._network = network
        self._address = host, port
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """
        Begin to accept.

        Raises:
            StartError: The port is taken.
        """
        host, port = self._address
        with opening(host, port, "[admin] listen_port"):
            self._port = self._network.listen(host, port, self._site)
        super().startService()

    def stopService(self) -> "Deferred[object]":
        """
        Accept no more.
        """
        super().stopService()
        port, self._port = self._port, None
        return maybeDeferred(port.stopListening if port else lambda: None)
