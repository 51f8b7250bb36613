"""
Bearer tokens: what they are, how long they hold, and who may do what with them.
"""

import enum
import hashlib
import hmac
from calendar import timegm
from collections.abc import Callable
from time import strptime

import attrs
from twisted.web.http import FORBIDDEN, UNAUTHORIZED
from twisted.web.http_headers import Headers

from eliop2p.base.secret import Secret
from eliop2p.control.answers import Refusal

_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_REMEDY = "send 'Authorization: Bearer TOKEN' with the "
_NODES = f"{_REMEDY}[control_plane] token"
_OPERATORS = f"{_REMEDY}[control_plane_server] admin_token"


class Role(enum.Enum):
    """
    Whom a route is for.
    """

    ANYBODY = "anybody"
    NODE = "node"
    OPERATOR = "operator"


@attrs.frozen
class Token:
    """
    A token as the server knows it.

    Attributes:
        digest: SHA-256 of its text: tokens of different lengths compare alike.
        expires: When it stops to hold, in seconds since 1970; None for never.
    """

    digest: bytes = attrs.field(repr=False)
    expires: float | None = None

    def is_over(self, now: float) -> bool:
        """
        Tell whether it holds no more.
        """
        return self.expires is not None and now >= self.expires


def read_token(secret: Secret | None) -> Token | None:
    """
    Read a configured token. One that ends in ``@`` and a moment of the form
    ``2027-01-31T00:00:00Z`` holds until then; the moment is a part of what is shown.
    """
    if secret is None:
        return None
    text = secret.reveal()
    _, at, moment = text.rpartition("@")
    expires: float | None = None
    if at:
        try:
            expires = float(timegm(strptime(moment, _MOMENT)))
        except ValueError:
            expires = None  # An @ that has nothing to do with time.
    return Token(hashlib.sha256(text.encode()).digest(), expires)


@attrs.frozen
class Guard:
    """
    Asks for a token, when there is one.

    Every request is compared with both tokens, by their digests and in constant time:
    how long a refusal takes says nothing of either.

    Attributes:
        join: What nodes show; None when anybody may be one.
        admin: What operators show; None when the token of nodes will do.
        now: Tells the time, in seconds since 1970.
    """

    join: Token | None
    admin: Token | None
    now: Callable[[], float]

    def check(self, headers: Headers, role: Role) -> None:
        """
        Look at a request's Authorization.

        Raises:
            Refusal: It does not show that the request comes from who may make it.
        """
        wanted = self.admin or self.join
        if role is Role.NODE:
            wanted = self.join
        if role is Role.ANYBODY or wanted is None:
            return
        remedy = _OPERATORS if role is Role.OPERATOR and self.admin else _NODES
        shown = _shown(headers, remedy)
        is_join = self._matches(self.join, shown)
        is_admin = self._matches(self.admin, shown)
        if not is_join and not is_admin:
            raise _forbidden("wrong_token", remedy)
        used = self.admin if is_admin else self.join
        if used is not None and used.is_over(self.now()):
            raise _expired()
        if role is Role.OPERATOR and self.admin is not None and not is_admin:
            raise _forbidden("not_operator", remedy)

    def trusts(self, headers: Headers) -> bool:
        """
        Tell whether a request comes from somebody who may do anything at all.
        """
        try:
            self.check(headers, Role.NODE)
        except Refusal:
            return False
        return True

    @staticmethod
    def _matches(token: Token | None, shown: bytes) -> bool:
        known = token.digest if token is not None else b""
        return hmac.compare_digest(known, hashlib.sha256(shown).digest())


def _shown(headers: Headers, remedy: str) -> bytes:
    """
    Take the token out of a request.

    Raises:
        Refusal: There is none.
    """
    given = headers.getRawHeaders(b"Authorization", [])
    if len(given) != 1:
        challenge = ((b"WWW-Authenticate", b"Bearer"),)
        told = ("Authorization", "", remedy)
        raise Refusal("no_token", UNAUTHORIZED, told, challenge)
    scheme, _, shown = given[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise _forbidden("wrong_token", remedy)
    return shown.strip()


def _forbidden(reason: str, remedy: str) -> Refusal:
    return Refusal(reason, FORBIDDEN, ("Authorization", "", remedy))


def _expired() -> Refusal:
    """
    Refuse a token that was right once: see RFC 6750, section 3.1.
    """
    challenge = ((b"WWW-Authenticate", b'Bearer error="invalid_token"'),)
    told = ("Authorization", "", "the token has expired: send the one that replaced it")
    return Refusal("expired_token", UNAUTHORIZED, told, challenge)
