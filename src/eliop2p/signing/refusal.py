"""
Refusals, in the words of the store that the client believes to talk to.
"""

from eliop2p.base.errors import ElioError

_STATUS = {
    "AuthorizationHeaderMalformed": 400,
    "AuthorizationQueryParametersError": 400,
    "InvalidArgument": 400,
    "InvalidRequest": 400,
    "InvalidToken": 400,
    "IncompleteBody": 400,
    "XAmzContentSHA256Mismatch": 400,
    "MissingContentLength": 411,
    "NotImplemented": 501,
}


class Refused(ElioError):
    """
    A client may not have what it asks for, or has not said properly who it is.

    Attributes:
        code: The store's word for it.
        status: The HTTP status that goes with the code: 403 unless the request itself
            is at fault.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = _STATUS.get(code, 403)


def access_denied(why: str = "Access Denied") -> Refused:
    """
    Make the refusal of a client that is known, or of one that does not say who it is.
    """
    return Refused("AccessDenied", why)


def unknown_key() -> Refused:
    """
    Make the refusal of an access key that nobody has been given.
    """
    return Refused(
        "InvalidAccessKeyId",
        "The access key that you provided does not exist in our records.",
    )


def wrong_signature() -> Refused:
    """
    Make the refusal of a signature that the request and the secret do not give.
    """
    return Refused(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you "
        "provided. Check your key and signing method.",
    )


def too_skewed() -> Refused:
    """
    Make the refusal of a request that was signed at another time.
    """
    return Refused(
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    )
