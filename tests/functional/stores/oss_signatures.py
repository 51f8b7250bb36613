"""
Signatures of Alibaba OSS, checked as the service does.

By way of oss2's signers: they are asked to sign what came in, and the results compared.
"""

import hmac
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import attrs
from oss2.auth import ProviderAuth, ProviderAuthV2, ProviderAuthV4
from oss2.credentials import Credentials as OssCredentials

SKEW = timedelta(minutes=15)


class OssError(Exception):
    """
    What the service refuses.

    Attributes:
        status: HTTP's.
        code: OSS's.
    """

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code


@attrs.define
class User:
    """
    Somebody with a key.

    Attributes:
        secret: The secret half of it.
        token: What goes with a temporary key.
        allowed: Whether the user may do anything; tests change it.
    """

    secret: str
    token: str = ""
    allowed: bool = True


@attrs.frozen
class Asked:
    """
    A request, in the form that oss2's signers take.
    """

    method: str
    headers: dict[str, str]
    params: dict[str, str]
    bucket: str
    key: str
    region: str
    product: str = "oss"
    cloudbox_id: None = None


def _without(asked: Asked, *names: str, **headers: str) -> Asked:
    params = {k: v for k, v in asked.params.items() if k not in names}
    return attrs.evolve(asked, params=params, headers={**asked.headers, **headers})


def _iso(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise OssError(403, "AccessDenied", "no valid date") from None


def _near(moment: datetime, now: datetime) -> None:
    if abs(now - moment) > SKEW:
        raise OssError(403, "RequestTimeTooSkewed")


def _before(moment: datetime, now: datetime) -> None:
    if now > moment:
        raise OssError(403, "AccessDenied", "Request has expired.")


def _epoch(text: str) -> datetime:
    return datetime.fromtimestamp(int(text), UTC)


def _fields(text: str, sign: str) -> dict[str, str]:
    parts = (part.strip().partition(sign) for part in text.split(","))
    return {name: value for name, _, value in parts}


class Checker:
    """
    Finds out who signed a request.

    Args:
        users: Who is known, by access key.
    """

    def __init__(self, users: dict[str, User]) -> None:
        self._users = users

    def who(self, asked: Asked, now: datetime) -> User | None:
        """
        Give the user; None for a request without a signature.

        Raises:
            OssError: The signature is wrong, too old, or for somebody unknown.
        """
        if "OSSAccessKeyId" in asked.params:
            return self._v1_url(asked, now)
        version = asked.params.get("x-oss-signature-version")
        if version:
            check = self._v2_url if version == "OSS2" else self._v4_url
            return check(asked, now)
        return self._in_header(asked, asked.headers.get("authorization", ""), now)

    def _in_header(
        self, asked: Asked, authorization: str, now: datetime
    ) -> User | None:
        if authorization.startswith("OSS4-HMAC-SHA256 "):
            return self._v4(asked, _fields(authorization.partition(" ")[2], "="), now)
        if authorization.startswith("OSS2 "):
            return self._v2(asked, _fields(authorization.partition(" ")[2], ":"), now)
        if authorization.startswith("OSS "):
            return self._v1(asked, authorization[4:], now)
        if authorization:
            raise OssError(400, "InvalidArgument", "Authorization header is invalid.")
        return None

    def _user(self, access_key: str, token: str) -> User:
        user = self._users.get(access_key)
        if user is None:
            raise OssError(403, "InvalidAccessKeyId")
        if user.token != token:
            raise OssError(403, "InvalidSecurityToken")
        return user

    def _date(self, asked: Asked, now: datetime) -> None:
        text = asked.headers.get("x-oss-date") or asked.headers.get("date", "")
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            moment = _iso(text)
        _near(moment, now)

    def _v1(self, asked: Asked, text: str, now: datetime) -> User:
        access_key, _, said = text.partition(":")
        user = self._user(access_key, asked.headers.get("x-oss-security-token", ""))
        self._date(asked, now)
        return self._same(user, asked, said, ProviderAuth)

    def _v1_url(self, asked: Asked, now: datetime) -> User:
        params = asked.params
        user = self._user(params["OSSAccessKeyId"], params.get("security-token", ""))
        _before(_epoch(params["Expires"]), now)
        bare = _without(
            asked, "OSSAccessKeyId", "Expires", "Signature", date=params["Expires"]
        )
        return self._same(user, bare, params["Signature"], ProviderAuth)

    def _v2(self, asked: Asked, said: dict[str, str], now: datetime) -> User:
        token = asked.headers.get("x-oss-security-token", "")
        user = self._user(said["AccessKeyId"], token)
        self._date(asked, now)
        additional = said.get("AdditionalHeaders", "").split(";")
        return self._same(
            user,
            asked,
            said["Signature"],
            ProviderAuthV2,
            list(filter(None, additional)),
        )

    def _v2_url(self, asked: Asked, now: datetime) -> User:
        params = asked.params
        token = params.get("security-token", "")
        user = self._user(params["x-oss-access-key-id"], token)
        _before(_epoch(params["x-oss-expires"]), now)
        bare = _without(asked, "x-oss-signature", date=params["x-oss-expires"])
        additional = params.get("x-oss-additional-headers", "").split(";")
        return self._same(
            user,
            bare,
            params["x-oss-signature"],
            ProviderAuthV2,
            list(filter(None, additional)),
        )

    def _v4(self, asked: Asked, said: dict[str, str], now: datetime) -> User:
        date = asked.headers.get("x-oss-date", "")
        _near(_iso(date), now)
        token = asked.headers.get("x-oss-security-token", "")
        user = self._user(self._v4_key(asked, said["Credential"], date), token)
        additional = said.get("AdditionalHeaders", "").split(";")
        return self._same(
            user,
            asked,
            said["Signature"],
            ProviderAuthV4,
            list(filter(None, additional)),
            date,
        )

    def _v4_url(self, asked: Asked, now: datetime) -> User:
        params = asked.params
        date = params["x-oss-date"]
        start = _iso(date)
        _before(start + timedelta(seconds=int(params["x-oss-expires"])), now)
        token = params.get("x-oss-security-token", "")
        user = self._user(self._v4_key(asked, params["x-oss-credential"], date), token)
        additional = params.get("x-oss-additional-headers", "").split(";")
        return self._same(
            user,
            _without(asked, "x-oss-signature"),
            params["x-oss-signature"],
            ProviderAuthV4,
            list(filter(None, additional)),
            date,
        )

    @staticmethod
    def _v4_key(asked: Asked, credential: str, date: str) -> str:
        access_key, *scope = credential.rsplit("/", 4)
        if scope != [date[:8], asked.region, "oss", "aliyun_v4_request"]:
            raise OssError(400, "InvalidArgument", "wrong credential scope")
        return access_key

    @staticmethod
    def _same(
        user: User,
        asked: Asked,
        said: str,
        signer: type[ProviderAuth | ProviderAuthV2 | ProviderAuthV4],
        *more: object,
    ) -> User:
        make = getattr(signer(None), f"_{signer.__name__}__make_signature")
        where = (asked, asked.bucket, asked.key)
        credentials = OssCredentials("any", user.secret)
        right = make(*where, *more[:1], credentials, *more[1:])
        if not hmac.compare_digest(right, said):
            raise OssError(403, "SignatureDoesNotMatch")
        return user
