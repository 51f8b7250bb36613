"""
Refusals as the store would write them.
"""

from xml.sax.saxutils import escape

from eliop2p.http1.message import ResponseHead
from eliop2p.signing.refusal import Refused

_REASONS = {
    400: b"Bad Request",
    403: b"Forbidden",
    411: b"Length Required",
    501: b"Not Implemented",
}


def refusal_answer(error: Refused, request_id: str) -> tuple[ResponseHead, bytes]:
    """
    Write the answer to a client that is not let in.

    S3 and OSS have the same form of it; SDKs of either look for the request's name in
    a header of their own.

    Args:
        error: Why.
        request_id: What this node calls the request.
    """
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(str(error))}</Message>"
        f"<RequestId>{escape(request_id)}</RequestId></Error>"
    ).encode()
    name = request_id.encode()
    headers = (
        (b"x-amz-request-id", name),
        (b"x-oss-request-id", name),
        (b"Content-Type", b"application/xml"),
        (b"Content-Length", b"%d" % len(body)),
    )
    return ResponseHead(error.status, _REASONS[error.status], headers), body
