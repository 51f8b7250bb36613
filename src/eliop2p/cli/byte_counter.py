"""
Counts what leaves a server, from the outside: a TCP forwarder in front of it.
"""

import contextlib
import socket
import threading

_PIECE = 256 * 1024


class ByteCounter:
    """
    Forwards connections to a server on loopback and counts the bytes it sends.

    Attributes:
        port: Where it listens.
        sent: Bytes of the server's answers, heads included, that clients were given.
        connections: Connections made so far.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.sent = 0
        self.connections = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """
        Accept no more connections.
        """
        # Closing alone would not wake the thread that waits in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # Given is what the client's side took, not what waits here: with a buffer that
        # the kernel lets grow, that is 4 MiB when the client breaks off.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        up = threading.Thread(
            target=self._copy, args=(client, server, False), daemon=True
        )
        up.start()
        self._copy(server, client, True)
        up.join()
        client.close()
        server.close()

    def _copy(self, source: socket.socket, sink: socket.socket, count: bool) -> None:
        """
        Forward one direction until either side ends it.
        """
        try:
            while data := source.recv(_PIECE):
                sink.sendall(data)
                if count:
                    with self._lock:
                        self.sent += len(data)
        except OSError:
            # One side broke off: the other must not wait for more.
            for each in (source, sink):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            return
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
