"""
What tests of the control plane's client share.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from twisted.web.resource import Resource
from twisted.web.server import Request
from zope.interface import implementer

from eliop2p.control.client import (
    HttpControlPlane,
)
from eliop2p.interfaces import NodeLoad

LOAD = NodeLoad(1, 2, 3, 4)


class _Fixed(Resource):
    """
    Answers everything alike.
    """

    isLeaf = True

    def __init__(self, render: Callable[[Request], bytes | int]) -> None:
        super().__init__()
        self._render = render

    def render(self, request: Request) -> bytes | int:
        """
        Answer.
        """
        return self._render(request)


def plane(agent: IAgent, clock: IReactorTime, token: bytes = b"") -> HttpControlPlane:
    """
    Make a client.
    """
    return HttpControlPlane("http://control:8081", agent, token, clock)


@implementer(IAgent)
class _Agent:
    """
    An agent whose requests end as a test wants.
    """

    def __init__(self, answer: Callable[[], Deferred[IResponse]]) -> None:
        self._answer = answer

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        """
        Make a request.
        """
        return self._answer()
