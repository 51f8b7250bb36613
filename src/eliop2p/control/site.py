"""
twisted.web's site, with bodies that are bounded while they arrive.
"""

from io import BytesIO

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import RESPONSES, HTTPChannel
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from eliop2p.control.answers import MAX_BODY, body_too_large
from eliop2p.control.metrics import ControlMetrics
from eliop2p.control.tokens import Guard

_DRAINED = 2 * MAX_BODY
"""
How much of a body that is too long is read, in bytes, so that its sender comes to read
the answer; the connection ends after that.
"""


class BoundedRequest(Request):
    """
    A request that never holds more than :data:`MAX_BODY` of its body, and nothing of
    a body that comes without a token.

    Args:
        channel: The connection.
        site: Knows the tokens and counts.
    """

    def __init__(self, channel: HTTPChannel, site: "ControlSite") -> None:
        super().__init__(channel)
        self._bounds = site
        self._body = BytesIO()
        self._seen = 0
        self._keeps = False
        self._refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """
        The head is complete; a body follows unless length is 0.
        """
        self.content = self._body
        self._keeps = self._bounds.trusts(self.requestHeaders)
        if length is not None and length > MAX_BODY:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """
        Take a piece of the body.
        """
        self._seen += len(data)
        if self._seen > MAX_BODY and not self._refused:
            self._refuse()
        if self._refused:
            if self._seen > _DRAINED:
                self.channel.loseConnection()
        elif self._keeps:
            self._body.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        """
        The body is complete.
        """
        if self._refused:
            self.channel.loseConnection()
        else:
            super().requestReceived(command, path, version)

    def _refuse(self) -> None:
        """
        Answer before the body is complete.
        """
        self._refused = True
        self._body.truncate(0)
        # Nobody is asked to continue with a body that is not wanted.
        self.requestHeaders.removeHeader(b"Expect")
        refusal = body_too_large()
        self._bounds.metrics.refused[refusal.reason] += 1
        self._bounds.metrics.requests[refusal.answer.status] += 1
        answer = refusal.answer
        headers = Headers(
            {
                b"Connection": [b"close"],
                b"Content-Type": [answer.content_type],
                b"Content-Length": [b"%d" % len(answer.body)],
            }
        )
        status, phrase = b"%d" % answer.status, RESPONSES[answer.status]
        self.channel.writeHeaders(b"HTTP/1.1", status, phrase, headers)
        self.channel.write(answer.body)


class ControlSite(Site):
    """
    The site of the control plane. It writes no access log: a thousand nodes would fill
    it with heartbeats.

    Args:
        resource: What answers.
        guard: Knows the tokens.
        metrics: Counts what is refused before the resource sees it.
        clock: Times out idle connections.
    """

    noisy = False

    def __init__(
        self,
        resource: IResource,
        guard: Guard,
        metrics: ControlMetrics,
        clock: IReactorTime,
    ) -> None:
        super().__init__(
            resource,
            requestFactory=self._make_request,
            reactor=clock,
            parsePOSTFormSubmission=False,
        )
        self.metrics = metrics
        self._guard = guard

    def _make_request(self, channel: HTTPChannel, _queued: object) -> BoundedRequest:
        return BoundedRequest(channel, self)

    def trusts(self, headers: Headers) -> bool:
        """
        Tell whether a request comes with a token that lets it in.
        """
        return self._guard.trusts(headers)

    def log(self, request: object) -> None:
        """
        Write nothing.
        """
