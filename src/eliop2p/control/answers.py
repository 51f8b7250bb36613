"""
Answers as values, and the refusals that lead to some of them.
"""

import attrs
from twisted.web.http import (
    BAD_REQUEST,
    CONFLICT,
    NOT_ALLOWED,
    NOT_FOUND,
    OK,
    REQUEST_ENTITY_TOO_LARGE,
    SERVICE_UNAVAILABLE,
)

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.control.fields import encode
from eliop2p.control.messages import error_to_json

JSON_TYPE = b"application/json"

MAX_BODY = 2 * 1024 * 1024
"""
The longest request body, in bytes.
"""


@attrs.frozen
class Answer:
    """
    What to send back.

    Attributes:
        body: The body.
        status: The HTTP status.
        content_type: What the body is.
        headers: Further headers.
    """

    body: bytes
    status: int = OK
    content_type: bytes = JSON_TYPE
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refusal(RemoteProtocolError):
    """
    A request that is not done.

    Attributes:
        reason: Why, as the metrics call it.
        answer: What the client is told.
    """

    def __init__(
        self,
        reason: str,
        status: int,
        told: tuple[str, str, str],
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = Answer(
            encode(error_to_json(*told)), status, JSON_TYPE, headers=headers
        )


def no_such_path(path: bytes) -> Refusal:
    """
    Refuse a path that leads nowhere.
    """
    shown = path[:80].decode("ascii", "backslashreplace")
    told = ("path", shown, "see the reference of the control plane's API")
    return Refusal("not_found", NOT_FOUND, told)


def wrong_method(method: str, allowed: str) -> Refusal:
    """
    Refuse a method that the path does not know.
    """
    told = ("method", method[:80], f"use {allowed}")
    allow = ((b"Allow", allowed.encode("ascii")),)
    return Refusal("bad_method", NOT_ALLOWED, told, allow)


def body_too_large() -> Refusal:
    """
    Refuse a body that is too long.
    """
    told = ("", "", f"send a body of up to {MAX_BODY} bytes")
    return Refusal("too_large", REQUEST_ENTITY_TOO_LARGE, told)


def bad_message(field: str, value: str, remedy: str) -> Refusal:
    """
    Refuse a body that breaks the rules.
    """
    return Refusal("bad_message", BAD_REQUEST, (field, value, remedy))


def unknown_node(node_id: str) -> Refusal:
    """
    Refuse what only a registered node may do.
    """
    told = ("node_id", node_id, "register with POST /api/v1/nodes")
    return Refusal("unknown_node", NOT_FOUND, told)


def too_many_nodes(node_id: str, remedy: str) -> Refusal:
    """
    Refuse a node for want of room.
    """
    return Refusal("full", SERVICE_UNAVAILABLE, ("node_id", node_id, remedy))


def unknown_command(command_id: str) -> Refusal:
    """
    Refuse what is about a command that nobody gave.
    """
    told = ("id", command_id, "GET the node's commands to see which there are")
    return Refusal("unknown_command", NOT_FOUND, told)


def other_command(command_id: str) -> Refusal:
    """
    Refuse a command with the name of another one.
    """
    told = ("id", command_id, "give every command a name of its own")
    return Refusal("conflict", CONFLICT, told)


def other_version(version: int) -> Refusal:
    """
    Refuse to replace a policy that is not the one its sender has seen.
    """
    told = ("version", str(version), "GET it again, and change what is there now")
    return Refusal("conflict", CONFLICT, told)


def too_many_commands(node_id: str, remedy: str) -> Refusal:
    """
    Refuse a command for want of room.
    """
    return Refusal("full", SERVICE_UNAVAILABLE, ("node_id", node_id, remedy))
