"""
The API as an OpenAPI document, made from the same table of routes that answers.
"""

from collections.abc import Iterable
from typing import Final

from eliop2p import __version__
from eliop2p.control.answers import MAX_BODY
from eliop2p.control.fields import MAX_INTEGER
from eliop2p.control.messages import (
    MAX_NODES,
    MAX_QUERIED,
    MAX_REPORTED,
    MAX_WEIGHT,
)
from eliop2p.control.orders import MAX_CHUNKS, Kind
from eliop2p.control.policy import MAX_REPLICAS, MAX_RULES
from eliop2p.control.routes import Route
from eliop2p.control.tokens import Role

_Schema = dict[str, object]

_COUNT: Final[_Schema] = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
_CHUNK_ID: Final[_Schema] = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}
_NODE_ID: Final[_Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._ -]*$",
}
_COMMAND_ID: Final[_Schema] = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$",
}


def _object(required: tuple[str, ...], **properties: _Schema) -> _Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
    }


def _list(items: _Schema, limit: int, least: int = 0) -> _Schema:
    return {"type": "array", "items": items, "maxItems": limit, "minItems": least}


def _integer(low: int, high: int) -> _Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


_NODE: Final = _object(
    ("node_id", "host", "port"),
    node_id=_NODE_ID,
    host={"type": "string", "pattern": "^[A-Za-z0-9_.:%-]{1,253}$"},
    port=_integer(1, 65535),
    proxy_port=_integer(0, 65535),
    zone={"type": "string", "maxLength": 255, "pattern": "^[ -~]*$"},
    weight={"type": "number", "minimum": 0.001, "maximum": MAX_WEIGHT},
)
_PREFIX: Final[_Schema] = {
    "type": "string",
    "pattern": "^s3://[a-z0-9.-]+/[!-~]{0,64}$",
}
_CHUNK: Final = _object(
    ("chunk_id", "length"), chunk_id=_CHUNK_ID, length=_integer(1, 1 << 30)
)

_BODIES: Final[dict[str, _Schema]] = {
    "register": _NODE,
    "heartbeat": _object(
        ("memory_used", "disk_used", "chunks", "uploads", "membership_version"),
        memory_used=_COUNT,
        disk_used=_COUNT,
        chunks=_COUNT,
        uploads=_COUNT,
        membership_version=_COUNT,
        memory_capacity=_COUNT,
        disk_capacity=_COUNT,
    ),
    "report": {
        **_object(
            (),
            held=_list(_CHUNK_ID, MAX_REPORTED // 2),
            gone=_list(_CHUNK_ID, MAX_REPORTED // 2),
        ),
        "minProperties": 1,
    },
    "order": _object(
        ("id", "kind", "chunks"),
        id=_COMMAND_ID,
        kind={"type": "string", "enum": [kind.value for kind in Kind]},
        chunks=_list(_CHUNK, MAX_CHUNKS, 1),
        to=_NODE_ID,
        prefix=_PREFIX,
    ),
    "acknowledge": _object(
        ("state",),
        state={"type": "string", "enum": ["done", "failed"]},
        bytes=_COUNT,
        detail={"type": "string", "maxLength": 500, "pattern": "^[ -~]*$"},
    ),
    "locations": _object(("chunk_ids",), chunk_ids=_list(_CHUNK_ID, MAX_QUERIED)),
    "replicate": _object(
        ("min_replicas", "max_replicas"),
        version=_COUNT,
        min_replicas=_integer(1, MAX_REPLICAS),
        max_replicas=_integer(1, MAX_REPLICAS),
        rules=_list(
            _object(
                ("prefix", "replicas"),
                prefix=_PREFIX,
                replicas=_integer(1, MAX_REPLICAS),
                pinned={"type": "boolean"},
            ),
            MAX_RULES,
        ),
    ),
}

_SUMMARIES: Final = {
    "health": "Whether the control plane runs and can write its database.",
    "register": "Make a node a member.",
    "nodes": "Describe the live nodes.",
    "heartbeat": "Say that a node is alive.",
    "leave": "Let a node go.",
    "report": "Say what has changed in a node's cache.",
    "commands": "Give what a node is to do next.",
    "order": "Have a node do something.",
    "acknowledge": "Say what has become of a command.",
    "membership": "Tell who is alive, at once or when that changes.",
    "locations": "Tell which nodes hold chunks.",
    "all_commands": "Show the commands of all nodes.",
    "replication": "Show how often chunks should be held.",
    "replicate": "Say how often chunks should be held.",
    "counts": "Give the counts as JSON.",
    "openapi": "Give this document.",
    "metrics": "Give the counts as Prometheus reads them.",
}

_EXAMPLES: Final = {"id": "node-1", "command": "repair-1"}

_QUERIES: Final[dict[str, dict[str, _Schema]]] = {
    "membership": {"version": _COUNT, "wait": _integer(0, 60)}
}


def describe_api(routes: Iterable[Route]) -> dict[str, object]:
    """
    Make the document.
    """
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        operations = paths.setdefault(f"/{'/'.join(route.path)}", {})
        operations[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.0.3",
        "info": {"title": "ElioP2P control plane", "version": __version__},
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _error()},
        },
    }


def _error() -> _Schema:
    text: _Schema = {"type": "string"}
    inner = _object(("field", "value", "remedy"), field=text, value=text, remedy=text)
    return _object(("error",), error=inner)


def _operation(route: Route) -> dict[str, object]:
    operation: dict[str, object] = {
        "operationId": route.name,
        "summary": _SUMMARIES[route.name],
        "responses": _responses(route),
    }
    parameters = [
        *(_parameter("id", "path", _NODE_ID) for part in route.path if part == "{id}"),
        *(
            _parameter("command", "path", _COMMAND_ID)
            for part in route.path
            if part == "{command}"
        ),
        *(
            _parameter(name, "query", schema)
            for name, schema in _QUERIES.get(route.name, {}).items()
        ),
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.role is not Role.ANYBODY:
        operation["security"] = [{"bearer": []}]
    if route.name in _BODIES:
        content = {"application/json": {"schema": _BODIES[route.name]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(name: str, place: str, schema: _Schema) -> dict[str, object]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        **({"example": _EXAMPLES[name]} if name in _EXAMPLES else {}),
    }


def _responses(route: Route) -> dict[str, object]:
    kind = "text/plain" if route.name == "metrics" else "application/json"
    done = "202" if route.name == "order" else "200"
    schema: _Schema = {"type": "string" if route.name == "metrics" else "object"}
    responses: dict[str, object] = {
        done: {"description": "Done.", "content": {kind: {"schema": schema}}}
    }
    refusals = {
        "400": "The request breaks a rule.",
        "401": "The token is missing or has expired.",
        "403": "The token is another one.",
        "404": "There is no such node or command.",
        "409": "It contradicts what is there.",
        "413": f"The body is longer than {MAX_BODY} bytes.",
        "503": f"There is no room, for {MAX_NODES} nodes or for the command.",
    }
    reference = {"schema": {"$ref": "#/components/schemas/Error"}}
    for status, text in refusals.items():
        responses[status] = {
            "description": text,
            "content": {"application/json": reference},
        }
    return responses
