"""
Requests whose bodies are bounded while they arrive.
"""

from io import BytesIO

from twisted.web.server import Request

MAX_BODY = 16 * 1024
"""
The longest body of a request, in bytes: a key has at most 1024.
"""

_DRAINED = 4 * MAX_BODY
"""
How much of a body that is too long is read, in bytes, so that its sender comes to read
the answer; the connection ends after that.
"""


class BoundedRequest(Request):
    """
    A request that holds no more than :data:`MAX_BODY` of its body.

    Attributes:
        too_long: Whether the body was longer; what is held of it is of no use then.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.too_long = False
        self._body = BytesIO()
        self._seen = 0

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002, N802
        """
        The head is complete; a body follows unless length is 0.
        """
        self.content = self._body

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """
        Take a piece of the body.
        """
        self._seen += len(data)
        self.too_long = self._seen > MAX_BODY
        if self._seen > _DRAINED:
            self.channel.loseConnection()
        elif not self.too_long:
            self._body.write(data)
