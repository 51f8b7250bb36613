"""
etcd v3 through its HTTP/JSON gateway: the few calls that a node makes.

See https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.http import OK
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.bodies import MAX_ANSWER, Body, BoundedBody
from eliop2p.control.fields import BadMessage, Fields, decode, encode

TIMEOUT = 2.0
"""
Seconds until another member of the cluster is tried.
"""

_CREATE = {"target": "CREATE", "result": "EQUAL", "create_revision": "0"}
_MAX_KEYS = 100_000


class LeaseLost(ControlPlaneError):
    """
    etcd does not know the lease: it has run out, or etcd has lost its state.
    """


@attrs.frozen
class Entry:
    """
    A key and what it holds; an empty value stands for a key that was deleted.
    """

    key: str
    value: bytes


@attrs.frozen
class Found:
    """
    What a range of keys held.

    Attributes:
        entries: The keys, in order.
        revision: The revision at which they did.
    """

    entries: tuple[Entry, ...]
    revision: int


@attrs.frozen
class Watched:
    """
    What has happened to a range of keys.

    Attributes:
        entries: What each key came to hold, oldest first.
        revision: The last revision that is included.
        compacted: Whether etcd has forgotten what happened first: everything has to be
            read anew.
    """

    entries: tuple[Entry, ...]
    revision: int
    compacted: bool = False


def _text(text: str) -> str:
    return b64encode(text.encode()).decode()


def _range(prefix: str) -> dict[str, object]:
    """
    Name all keys that begin with a prefix.
    """
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": _text(prefix), "range_end": _text(end)}


def _decimal(fields: Fields, name: str) -> int:
    """
    Read a 64-bit number, which the gateway writes as a text; 0 when it is left out.
    """
    text = fields.text(name, str.isdecimal, "send digits", default="0")
    return int(text)


def _entry(value: object, path: str) -> Entry:
    fields = Fields(value, path)
    try:
        key, data = (
            b64decode(
                fields.text(name, str.isascii, "send base64", default=""), validate=True
            )
            for name in ("key", "value")
        )
        return Entry(key.decode(), data)
    except (Base64Error, UnicodeDecodeError):
        raise BadMessage(path, "", "send base64") from None


def _event(value: object, path: str) -> Entry:
    return _entry(Fields(value, path).raw("kv"), f"{path}.kv")


def read_watched(message: object) -> Watched:
    """
    Read one message of a watch.

    Raises:
        BadMessage: It is something else.
    """
    result = Fields(message).inner("result")
    compacted = _decimal(result, "compact_revision") > 0
    cancelled = result.flag("canceled", default=False)
    events = result.items("events", _MAX_KEYS, _event, default=())
    revision = _decimal(result.inner("header"), "revision")
    return Watched(events, revision, compacted or cancelled)


class _Lines(Protocol):
    """
    Takes a stream of JSON objects, one a line.

    Attributes:
        finished: Fires with the error that ended the stream.
    """

    def __init__(self, take: Callable[[object], None]) -> None:
        self.finished = Deferred[None](lambda _: self._drop())
        self._take = take
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Take a piece.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            for line in lines:
                if line:
                    self._take(decode(line))
        except BadMessage as error:
            self._refuse(error)
        if len(self._rest) > MAX_ANSWER:
            remedy = f"send up to {MAX_ANSWER} bytes in a line"
            self._refuse(BadMessage("", "", remedy))

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        The stream has ended.
        """
        self._end(reason)

    def _refuse(self, error: BadMessage) -> None:
        self._rest = b""
        self._end(Failure(error))
        self._drop()

    def _end(self, reason: Failure) -> None:
        if not self.finished.called:
            self.finished.errback(reason)

    def _drop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


class EtcdGateway:
    """
    The members of one cluster, tried one after the other; the one that answered last
    comes first.

    Args:
        endpoints: ``scheme://host:port`` of each member.
        agent: Makes requests.
        clock: Times them.
    """

    def __init__(
        self, endpoints: Sequence[str], agent: IAgent, clock: IReactorTime
    ) -> None:
        self._endpoints = list(endpoints)
        self._client = HTTPClient(agent, data_to_body_producer=Body)
        self._headers = Headers({b"Content-Type": [b"application/json"]})
        self._clock = clock

    async def put(self, key: str, value: bytes, lease: int = 0) -> None:
        """
        Give a key a value, for as long as a lease lasts if one is named.

        Raises:
            ControlPlaneError: No member did it.
            LeaseLost: There is no such lease.
        """
        await self._call("kv/put", _put(key, value, lease))

    async def delete(self, key: str) -> None:
        """
        Take a key away.
        """
        await self._call("kv/deleterange", {"key": _text(key)})

    async def find(self, prefix: str) -> Found:
        """
        Read all keys that begin with a prefix.
        """
        answer = await self._call("kv/range", _range(prefix))
        entries = answer.items("kvs", _MAX_KEYS, _entry, default=())
        return Found(entries, _decimal(answer.inner("header"), "revision"))

    async def create(self, key: str, value: bytes, lease: int) -> bool:
        """
        Give a key a value unless it has one.

        Returns:
            Whether it had none.
        """
        body = {
            "compare": [{"key": _text(key), **_CREATE}],
            "success": [{"request_put": _put(key, value, lease)}],
        }
        answer = await self._call("kv/txn", body)
        return answer.flag("succeeded", default=False)

    async def replace(self, key: str, value: bytes, revision: int) -> bool:
        """
        Give a key a value, if it was changed at this revision last; 0 for never.

        Returns:
            Whether that was so.
        """
        compare = {
            "key": _text(key),
            "target": "MOD",
            "result": "EQUAL",
            "mod_revision": str(revision),
        }
        body = {
            "compare": [compare],
            "success": [{"request_put": _put(key, value, 0)}],
        }
        answer = await self._call("kv/txn", body)
        return answer.flag("succeeded", default=False)

    async def read(self, key: str) -> tuple[bytes, int] | None:
        """
        Read one key.

        Returns:
            Its value and the revision at which it was changed last, or None.
        """
        answer = await self._call("kv/range", {"key": _text(key)})
        revisions = answer.items("kvs", 1, _mod_revision, default=())
        entries = answer.items("kvs", 1, _entry, default=())
        return (entries[0].value, revisions[0]) if entries else None

    async def grant(self, seconds: int) -> int:
        """
        Take out a lease.
        """
        answer = await self._call("lease/grant", {"TTL": str(seconds)})
        return _decimal(answer, "ID")

    async def keep_alive(self, lease: int) -> None:
        """
        Renew a lease.

        Raises:
            LeaseLost: It has run out.
        """
        answer = await self._call("lease/keepalive", {"ID": str(lease)})
        if not _decimal(answer.inner("result"), "TTL"):
            raise LeaseLost("the lease has run out")

    async def revoke(self, lease: int) -> None:
        """
        End a lease, and with it the keys that depend on it.
        """
        await self._call("lease/revoke", {"ID": str(lease)})

    async def watch(
        self, prefix: str, revision: int, take: Callable[[Watched], None]
    ) -> None:
        """
        Follow what happens to the keys that begin with a prefix, until cancelled.

        Args:
            prefix: Which keys.
            revision: The first revision of interest.
            take: Given each message, the first without events once the watch stands.

        Raises:
            ControlPlaneError: The stream has ended, or there was none.
        """
        create = {**_range(prefix), "start_revision": str(revision)}
        url = f"{self._endpoints[0]}/v3/watch"
        lines = _Lines(lambda message: take(read_watched(message)))
        try:
            response = await self._post(url, {"create_request": create})
            response.deliverBody(lines)
            await lines.finished
        except CancelledError:
            raise
        except Exception as error:
            self._turn()
            raise ControlPlaneError(f"{url}: {error}") from error

    # --- inside

    async def _call(self, path: str, body: object) -> Fields:
        """
        Ask the members in turn until one answers.
        """
        reasons = []
        for _ in self._endpoints:
            url = f"{self._endpoints[0]}/v3/{path}"
            try:
                return await self._ask(url, body)
            except (LeaseLost, CancelledError):
                raise
            except Exception as error:  # noqa: BLE001  told below, with the others.
                reasons.append(f"{url}: {str(error) or type(error).__name__}")
                self._turn()
        raise ControlPlaneError("; ".join(reasons))

    def _turn(self) -> None:
        self._endpoints.append(self._endpoints.pop(0))

    async def _ask(self, url: str, body: object) -> Fields:
        answering = Deferred.fromCoroutine(self._exchange(url, body))
        answering.addTimeout(TIMEOUT, self._clock, _timed_out)
        return await answering

    async def _exchange(self, url: str, body: object) -> Fields:
        response = await self._post(url, body)
        bounded = BoundedBody()
        response.deliverBody(bounded)
        data = await bounded.finished
        if response.code == OK:
            return Fields(decode(data))
        if b"lease not found" in data:
            raise LeaseLost("etcd does not know the lease")
        text = data[:200].decode("ascii", "replace")
        raise ControlPlaneError(f"answered {response.code}: {text}")

    async def _post(self, url: str, body: object) -> IResponse:
        return await self._client.request(
            "POST",
            url,
            headers=self._headers,
            data=encode(body),
            allow_redirects=False,
            unbuffered=True,
            # Only so that it does not take the global one; it is for timeouts of its.
            reactor=self._clock,  # type: ignore[arg-type]
        )


def _put(key: str, value: bytes, lease: int) -> dict[str, object]:
    return {
        "key": _text(key),
        "value": b64encode(value).decode(),
        "lease": str(lease),
    }


def _mod_revision(value: object, path: str) -> int:
    return _decimal(Fields(value, path), "mod_revision")


def _timed_out(result: object, seconds: float) -> object:
    if isinstance(result, Failure):
        raise ConnectTimeout(f"no answer within {seconds:g} s")
    return result
