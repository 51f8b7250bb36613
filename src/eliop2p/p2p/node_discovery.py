"""
Who is alive, as the control plane said last, remembered across restarts.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from eliop2p.interfaces import IMembership, IWorker
from eliop2p.model.peer import Membership, PeerInfo

MAX_MEMBERS = 100_000
"""
How many members a file may list.
"""

_log = Logger()


def encode_membership(membership: Membership) -> bytes:
    """
    Write a membership as JSON.
    """
    peers = [attrs.asdict(peer) for peer in membership.peers.values()]
    return json.dumps({"version": membership.version, "peers": peers}).encode()


def decode_membership(data: bytes) -> Membership:
    """
    Read what :func:`encode_membership` wrote.

    Raises:
        ValueError: The bytes are not such JSON.
    """
    try:
        document = json.loads(data)
        version, listed = document["version"], document["peers"]
        peers = [_decode_peer(item) for item in listed]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a list of members: {error!r}") from error
    if not isinstance(version, int) or len(peers) > MAX_MEMBERS:
        raise ValueError("not a list of members")
    return Membership(version, {peer.node_id: peer for peer in peers})


def _decode_peer(item: dict[str, object]) -> PeerInfo:
    peer = PeerInfo(**item)  # type: ignore[arg-type]  # Checked below.
    texts = (peer.node_id, peer.host, peer.zone)
    ports = (peer.port, peer.proxy_port)
    if not (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(port, int) for port in ports)
        and isinstance(peer.weight, int | float)
    ):
        raise TypeError(f"not a member: {item!r}")
    return peer


@implementer(IMembership)
class NodeDiscovery:
    """
    The table of live members; this node is always among them.

    Args:
        me: This node.
        path: The file that remembers the members, or None to remember nothing.
        worker: Reads and writes the file.
    """

    def __init__(self, me: PeerInfo, path: Path | None, worker: IWorker) -> None:
        self._me = me
        self._path = path
        self._worker = worker
        self._current = Membership(0, {me.node_id: me})
        self._watchers: list[Callable[[Membership], None]] = []
        self._heard = False
        self._unwritten = False
        self._is_writing = False
        self._written: Deferred[None] = succeed(None)

    def current(self) -> Membership:
        """
        Give the members at this moment.
        """
        return self._current

    def watch(self, changed: Callable[[Membership], None]) -> None:
        """
        Be told of each change, after it.
        """
        self._watchers.append(changed)

    def update(self, membership: Membership) -> None:
        """
        Take a list of members, whatever its version: a control plane that lost its
        state counts from the beginning again.
        """
        self._heard = True
        if self._take(membership) and self._path is not None:
            self._unwritten = True
            if not self._is_writing:
                self._is_writing = True
                self._written = Deferred.fromCoroutine(self._write(self._path))

    def start(self) -> "Deferred[None]":
        """
        Take the members that the file remembers, unless there is news already. A file
        that cannot be used is logged and otherwise ignored.
        """
        if self._path is None:
            return succeed(None)
        return Deferred.fromCoroutine(self._load(self._path))

    def stop(self) -> "Deferred[None]":
        """
        Finish what is being written.
        """
        return self._written

    async def _load(self, path: Path) -> None:
        try:
            data = await self._worker.run(path.read_bytes)
            remembered = decode_membership(data)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            _log.warn(
                "Cannot use the remembered members in {path}: {error}",
                path=path,
                error=error,
            )
            return
        if not self._heard:
            self._take(remembered)

    def _take(self, membership: Membership) -> bool:
        peers = {**membership.peers, self._me.node_id: self._me}
        changed = peers != self._current.peers
        if changed or membership.version != self._current.version:
            # The table stays the same object while nothing in it changes.
            peers = peers if changed else self._current.peers
            self._current = Membership(membership.version, peers)
        if changed:
            for watcher in self._watchers:
                watcher(self._current)
        return changed

    async def _write(self, path: Path) -> None:
        while self._unwritten:
            self._unwritten = False
            try:
                await self._worker.run(_replace, path, encode_membership(self._current))
            except OSError as error:
                _log.warn(
                    "Cannot remember the members in {path}: {error}",
                    path=path,
                    error=error,
                )
        self._is_writing = False


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
