"""
A peer on real sockets that speaks the protocol, and misuses it as it is told to.
"""

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import attrs

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.model.peer import PeerInfo
from eliop2p.wire.cluster_events import (
    FindObject,
    FoundObject,
    MemberUpdate,
    Probe,
    Probed,
    Rumour,
    Standing,
)
from eliop2p.wire.codec import encode
from eliop2p.wire.events import Get, Holder, Locate, Located, Message, Verdict
from eliop2p.wire.rules import Role
from eliop2p.wire.session import Session

NAME = "attacker"

Bytes = Iterable[bytes]
Answer = Callable[[Get], Bytes]


def received(connection: socket.socket) -> bytes:
    """
    Receive, or give nothing when the connection was broken.
    """
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


@attrs.define(eq=False)
class HostilePeer:
    """
    A member by its own word, that says it holds every chunk.

    Attributes:
        secret: The cluster secret, or another one.
        answer: Gives the bytes that answer a request for a chunk, sent as they come.
        name: What it calls itself.
        gets: How often it was asked for a chunk.
        dropped: How often the other side ended a connection.
        sent: Bytes sent in answers.
    """

    secret: bytes
    answer: Answer
    name: str = NAME
    gets: int = 0
    dropped: int = 0
    sent: int = 0
    _socket: socket.socket = attrs.field(factory=socket.socket)
    _closed: bool = False
    _open: list[socket.socket] = attrs.field(factory=list)

    def listen(self) -> None:
        """
        Accept connections, on a port that the system chooses.
        """
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def me(self) -> MemberUpdate:
        """
        What it says of itself.
        """
        port = self._socket.getsockname()[1]
        info = PeerInfo(self.name, "127.0.0.1", port)
        return MemberUpdate(Standing.ALIVE, time.time_ns() // 1_000_000, info)

    def connect(self, port: int, *said: Message) -> socket.socket:
        """
        Connect, prove itself, and say something.
        """
        connection = socket.create_connection(("127.0.0.1", port), 10)
        session = self._session(Role.CONNECTING)
        connection.sendall(session.data_to_send())
        while not session.established:
            data = received(connection)
            if not data:
                connection.close()
                return connection
            session.receive(data)
            connection.sendall(session.data_to_send())
        for message in said:
            connection.sendall(encode(message))
        self._serve_in_thread(connection, session)
        return connection

    def join(self, port: int) -> socket.socket:
        """
        Become a member of the cluster that a node is in.
        """
        return self.connect(port, Rumour((self.me,)))

    def close(self) -> None:
        """
        Leave nothing open.
        """
        self._closed = True
        for each in (self._socket, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _session(self, role: Role) -> Session:
        return Session(role, self.name, self.secret, lambda: secrets.token_bytes(32))

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            session = self._session(Role.ACCEPTING)
            connection.sendall(session.data_to_send())
            self._serve_in_thread(connection, session)

    def _serve_in_thread(self, connection: socket.socket, session: Session) -> None:
        self._open.append(connection)
        arguments = (connection, session)
        threading.Thread(target=self._serve, args=arguments, daemon=True).start()

    def _serve(self, connection: socket.socket, session: Session) -> None:
        lock = threading.Lock()
        with suppress(OSError, RemoteProtocolError):
            while data := connection.recv(65536):
                events = session.receive(data)
                with lock:
                    connection.sendall(session.data_to_send())
                for event in events:
                    if isinstance(event, Get):
                        self.gets += 1
                        thread = threading.Thread(
                            target=self._send,
                            args=(connection, lock, event),
                            daemon=True,
                        )
                        thread.start()
                    else:
                        self._reply(connection, lock, session, event)
        self.dropped += not self._closed

    def _send(
        self, connection: socket.socket, lock: threading.Lock, request: Get
    ) -> None:
        with suppress(OSError):
            for piece in self.answer(request):
                with lock:
                    connection.sendall(piece)
                self.sent += len(piece)

    def _reply(
        self,
        connection: socket.socket,
        lock: threading.Lock,
        session: Session,
        event: object,
    ) -> None:
        reply: Message
        match event:
            case Locate(request_id=number):
                here = Holder(self.name, True, "127.0.0.1", self.me.node.port)
                reply = Located(number, Verdict.HOLDERS, 1, b"", (here,))
            case FindObject(request_id=number):
                reply = FoundObject(number, b"")
            case Probe(request_id=number):
                reply = Probed(number, True, (self.me,))
            case _:
                return
        with lock:
            connection.sendall(session.send(reply))
