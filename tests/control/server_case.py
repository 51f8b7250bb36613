"""
Requests to a control plane in memory.
"""

import json

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers

from eliop2p.control.bodies import Body
from tests.control.support import Server, node

NODES = "/api/v1/nodes"


@attrs.frozen
class Reply:
    """
    An answer as a client sees it.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        """
        Read the body.
        """
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def field(self) -> object:
        """
        Which part of the request was wrong.
        """
        error = self.json()["error"]
        assert isinstance(error, dict)
        assert error["remedy"]
        return error["field"]


def ask(
    server: Server,
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """
    Make a request; a body that is not bytes goes as JSON.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = HTTPClient(server.agent, data_to_body_producer=Body)
    replies: list[Reply] = []
    given = headers or {}

    async def exchange() -> None:
        response = await client.request(
            method,
            f"http://control{path}",
            data=None if body is None else data,
            headers=Headers({name: [value] for name, value in given.items()}),
            reactor=server.clock,  # type: ignore[arg-type]
        )
        names = {
            name.decode().lower(): values[0].decode()
            for name, values in response.headers.getAllRawHeaders()
        }
        replies.append(Reply(response.code, names, await response.content()))

    failures: list[object] = []
    Deferred.fromCoroutine(exchange()).addErrback(failures.append)
    server.agent.flush()
    assert not failures, failures
    return replies[0]


def register(server: Server, node_id: str = "node-1") -> Reply:
    """
    Register a node.
    """
    return ask(server, "POST", NODES, attrs.asdict(node(node_id)))
