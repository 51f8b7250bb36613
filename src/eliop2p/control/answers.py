"""
Answers as values, and the refusals that lead to some of them.
"""

import hmac

import attrs
from twisted.web.http import (
    BAD_REQUEST,
    FORBIDDEN,
    NOT_ALLOWED,
    NOT_FOUND,
    OK,
    REQUEST_ENTITY_TOO_LARGE,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
)
from twisted.web.http_headers import Headers

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


@attrs.frozen
class Guard:
    """
    Asks for the token, when there is one.

    Attributes:
        token: The token, empty when anybody may do anything.
    """

    token: bytes = attrs.field(repr=False)

    def check(self, headers: Headers) -> None:
        """
        Look at a request's Authorization.

        Raises:
            Refusal: There is none, or another one.
        """
        if not self.token:
            return
        field = "Authorization"
        remedy = "send 'Authorization: Bearer TOKEN' with the [control_plane] token"
        given = headers.getRawHeaders(b"Authorization", [])
        if len(given) != 1:
            challenge = ((b"WWW-Authenticate", b"Bearer"),)
            told = (field, "", remedy)
            raise Refusal("no_token", UNAUTHORIZED, told, challenge)
        scheme, _, shown = given[0].partition(b" ")
        right = hmac.compare_digest(shown.strip(), self.token)
        if scheme.lower() != b"bearer" or not right:
            raise Refusal("wrong_token", FORBIDDEN, (field, "", remedy))
