"""
A cluster of etcd in virtual time: the calls of its HTTP/JSON gateway that nodes make,
leases, watches, elections, and members that die.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from eliop2p.testing.simnet import SimNetwork

ELECTION = 1.0
"""
Seconds from a leader's death to the next one's first answer, as with etcd's defaults.
"""

_PORT = 2379
_Body = Mapping[str, Any]


@attrs.frozen
class _Held:
    """
    What a key holds.
    """

    value: bytes
    created: int
    changed: int
    lease: int


@attrs.define
class _Lease:
    """
    How long keys live.
    """

    seconds: int
    expires: float


class _LeaseLost(Exception):
    """
    There is no such lease.
    """


class _Store:
    """
    The state that the members agree on.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.watchers: list[_Watcher] = []
        self.leases: dict[int, _Lease] = {}
        self.revision = 1
        self._now = now
        self._keys: dict[bytes, _Held] = {}
        self._history: list[tuple[int, bytes, dict[str, object]]] = []
        self._calls: dict[str, Callable[[_Body], dict[str, object]]] = {
            "kv/put": self._put,
            "kv/range": self._range,
            "kv/deleterange": self._delete,
            "kv/txn": self._transact,
            "lease/grant": self._grant,
            "lease/keepalive": self._keep_alive,
            "lease/revoke": self._revoke,
        }

    def call(self, path: str, body: _Body) -> dict[str, object]:
        """
        Do what is asked.

        Raises:
            _LeaseLost: It needs a lease that there is not.
        """
        self._expire()
        answer = self._calls[path](body)
        return {"header": {"revision": str(self.revision)}, **answer}

    def follow(self, watcher: "_Watcher") -> None:
        """
        Tell a watcher what has happened, and what will.
        """
        for revision, key, event in self._history:
            watcher.tell(revision, key, event)
        self.watchers.append(watcher)

    def renew(self) -> None:
        """
        Let every lease begin anew, as a new leader does.
        """
        for lease in self.leases.values():
            lease.expires = self._now() + lease.seconds

    def _expire(self) -> None:
        now = self._now()
        for name in [n for n, lease in self.leases.items() if lease.expires <= now]:
            self._revoke({"ID": str(name)})

    def _put(self, body: _Body) -> dict[str, object]:
        key, lease = b64decode(body["key"]), int(body.get("lease", 0))
        if lease and lease not in self.leases:
            raise _LeaseLost
        known = self._keys.get(key)
        self.revision += 1
        created = known.created if known else self.revision
        value = b64decode(body["value"])
        self._keys[key] = _Held(value, created, self.revision, lease)
        self._tell(key, {"kv": self._entry(key)})
        return {}

    def _range(self, body: _Body) -> dict[str, object]:
        return {"kvs": [self._entry(key) for key in self._named(body)]}

    def _delete(self, body: _Body) -> dict[str, object]:
        for key in self._named(body):
            self._remove(key)
        return {}

    def _transact(self, body: _Body) -> dict[str, object]:
        succeeded = all(map(self._holds, body["compare"]))
        for each in body["success"] if succeeded else ():
            self._put(each["request_put"])
        return {"succeeded": succeeded}

    def _holds(self, compare: _Body) -> bool:
        held = self._keys.get(b64decode(compare["key"]))
        if compare["target"] == "CREATE":
            return int(compare["create_revision"]) == (held.created if held else 0)
        return int(compare["mod_revision"]) == (held.changed if held else 0)

    def _grant(self, body: _Body) -> dict[str, object]:
        name, seconds = 7000 + len(self._history) + len(self.leases), int(body["TTL"])
        while name in self.leases:
            name += 1
        self.leases[name] = _Lease(seconds, self._now() + seconds)
        return {"ID": str(name), "TTL": str(seconds)}

    def _keep_alive(self, body: _Body) -> dict[str, object]:
        lease = self.leases.get(int(body["ID"]))
        if lease is None:
            return {"result": {"ID": body["ID"]}}
        lease.expires = self._now() + lease.seconds
        return {"result": {"ID": body["ID"], "TTL": str(lease.seconds)}}

    def _revoke(self, body: _Body) -> dict[str, object]:
        name = int(body["ID"])
        if self.leases.pop(name, None) is None:
            raise _LeaseLost
        for key in [key for key, held in self._keys.items() if held.lease == name]:
            self._remove(key)
        return {}

    def _remove(self, key: bytes) -> None:
        del self._keys[key]
        self.revision += 1
        kv = {"key": b64encode(key).decode(), "mod_revision": str(self.revision)}
        self._tell(key, {"type": "DELETE", "kv": kv})

    def _named(self, body: _Body) -> list[bytes]:
        first = b64decode(body["key"])
        if "range_end" not in body:
            return [first] if first in self._keys else []
        end = b64decode(body["range_end"])
        return sorted(key for key in self._keys if first <= key < end)

    def _entry(self, key: bytes) -> dict[str, object]:
        held = self._keys[key]
        return {
            "key": b64encode(key).decode(),
            "value": b64encode(held.value).decode(),
            "create_revision": str(held.created),
            "mod_revision": str(held.changed),
            "lease": str(held.lease),
        }

    def _tell(self, key: bytes, event: dict[str, object]) -> None:
        self._history.append((self.revision, key, event))
        for watcher in tuple(self.watchers):
            watcher.tell(self.revision, key, event)


@attrs.define(eq=False)
class _Watcher:
    """
    Follows what happens to a range of keys.
    """

    request: Request
    first: bytes
    end: bytes
    start: int

    def tell(self, revision: int, key: bytes, event: dict[str, object]) -> None:
        """
        Pass on what happened, if it is of interest.
        """
        if revision >= self.start and self.first <= key < self.end:
            header = {"revision": str(revision)}
            self.write({"header": header, "events": [event]})

    def write(self, result: dict[str, object]) -> None:
        """
        Write one message.
        """
        self.request.write(json.dumps({"result": result}).encode() + b"\n")


class _Gateway(Resource):
    """
    One member's gateway.
    """

    isLeaf = True

    def __init__(self, cluster: "SimEtcd") -> None:
        super().__init__()
        self._cluster = cluster

    def render(self, request: Request) -> int:
        """
        Answer once there is a leader; who asks will not wait for ever.
        """
        assert request.content is not None
        body = json.load(request.content)
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        path = request.path.decode().removeprefix("/v3/")

        def answer() -> None:
            if not gone:
                self._answer(request, path, body)

        self._cluster.when_led(answer)
        return NOT_DONE_YET

    def _answer(self, request: Request, path: str, body: _Body) -> None:
        store = self._cluster.store
        if path == "watch":
            create = body["create_request"]
            first, end = b64decode(create["key"]), b64decode(create["range_end"])
            watcher = _Watcher(request, first, end, int(create["start_revision"]))
            watcher.write({"header": {}, "created": True})
            request.notifyFinish().addErrback(lambda _: store.watchers.remove(watcher))
            store.follow(watcher)
            return
        try:
            said = store.call(path, body)
        except _LeaseLost:
            request.setResponseCode(404)
            said = {"error": "etcdserver: requested lease not found"}
        request.write(json.dumps(said).encode())
        request.finish()


class SimEtcd:
    """
    Members that agree as long as more than half of them live.

    Args:
        clock: The time.
        network: The network.
        hosts: The members' addresses.
    """

    def __init__(
        self, clock: IReactorTime, network: SimNetwork, hosts: tuple[str, ...]
    ) -> None:
        self.store = _Store(clock.seconds)
        self._clock = clock
        self._network = network
        self._hosts = hosts
        self._alive: list[str] = []
        self._led_at = 0.0
        self._waiting: list[Callable[[], None]] = []
        self.start()

    def start(self) -> None:
        """
        Start every member that does not run, with what they remember.
        """
        for host in self._hosts:
            if host not in self._alive:
                self._alive.append(host)
                site = Site(_Gateway(self), timeout=None, reactor=self._clock)
                self._network.host(host).listen(host, _PORT, site)
        self._elect()

    def kill_leader(self) -> None:
        """
        Kill the leader; another is elected.
        """
        self._kill(self._alive[0])
        self._elect()

    def kill_all(self) -> None:
        """
        Kill every member.
        """
        for host in tuple(self._alive):
            self._kill(host)
        self._waiting.clear()

    def when_led(self, answer: Callable[[], None]) -> None:
        """
        Do something when there is a leader: now, or after the election.
        """
        if self._clock.seconds() >= self._led_at:
            answer()
        else:
            self._waiting.append(answer)

    def _kill(self, host: str) -> None:
        self._alive.remove(host)
        self._network.kill(host)

    def _elect(self) -> None:
        self._led_at = self._clock.seconds() + ELECTION
        self._clock.callLater(ELECTION, self._led)

    def _led(self) -> None:
        if 2 * len(self._alive) <= len(self._hosts):
            return
        self.store.renew()
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            answer()
