"""
What one peer asks of this node, from the request to its answer.
"""

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from eliop2p.interfaces import IPeerRequests, IWorker, OneWay
from eliop2p.net.throttle import Throttle
from eliop2p.p2p.uploads import UploadOutput, Uploads, fault_of
from eliop2p.wire.cluster_events import (
    MAX_INLINED,
    AskHolders,
    AskTally,
    FindObject,
    Inlined,
    ListObjects,
    Probe,
)
from eliop2p.wire.events import Cancel, Fail, Get, Locate, Located
from eliop2p.wire.rules import Question, Reply

Asked = Question | Get | Cancel | OneWay
"""
What a peer may send that is not an answer.
"""


class Serving:
    """
    The open requests of one peer: each is answered exactly once.

    Attributes:
        uploads: Those that are answered with bytes.
    """

    def __init__(
        self,
        peer_id: str,
        requests: IPeerRequests,
        worker: IWorker,
        output: UploadOutput,
        throttle: Throttle,
    ) -> None:
        self.uploads = Uploads(peer_id, requests, worker, output, throttle)
        self._peer_id = peer_id
        self._requests = requests
        self._output = output
        self._throttle = throttle
        self._finding: dict[int, Deferred[Any]] = {}

    def take(self, message: Asked) -> None:
        """
        Carry out what the peer asks.

        Raises:
            RemoteProtocolError: A one-way message makes no sense.
        """
        match message:
            case Get():
                self.uploads.start(message)
            case _ if isinstance(message, Question):
                self._answer(message)
            case Cancel(request_id=request_id):
                finding = self._finding.get(request_id)
                if finding is not None:
                    finding.cancel()
                else:
                    self.uploads.cancel(request_id)
            case _:
                self._requests.told(self._peer_id, message)

    def stop(self) -> None:
        """
        Give up all that is open: no answer can be sent any more.
        """
        self.uploads.stop()
        for finding in list(self._finding.values()):
            finding.cancel()

    def lost(self) -> None:
        """
        Let go of everything: the connection is gone.
        """
        self.stop()
        self.uploads.lost()

    def _answer(self, question: Question) -> None:
        asked = self._requests
        answering: Deferred[Any]
        match question:
            case Locate():
                answering = maybeDeferred(self._locate, question)
            case FindObject():
                answering = maybeDeferred(asked.find_object, self._peer_id, question)
            case Probe():
                answering = maybeDeferred(asked.probe, self._peer_id, question)
            case ListObjects():
                answering = maybeDeferred(asked.list_objects, question)
            case AskHolders():
                answering = maybeDeferred(asked.ask_holders, question)
            case AskTally():
                answering = maybeDeferred(asked.ask_tally, question)
        self._finding[question.request_id] = answering
        self._finish(question.request_id, answering)

    def _locate(self, question: Locate) -> Located | Inlined:
        """
        Answer with the chunk itself where that is possible.
        """
        inlined = None
        if self._output.takes_inlined and self._throttle.ready(MAX_INLINED):
            inlined = self._requests.inlined(question)
        if inlined is not None:
            self._throttle.charge(id(self._output), len(inlined.data))
        return inlined or self._requests.locate(self._peer_id, question)

    def _finish(self, request_id: int, answer: "Deferred[Any]") -> None:
        def ended(message: Reply | Fail) -> None:
            self._finding.pop(request_id, None)
            self._output.send(message)

        answer.addErrback(lambda failure: Fail(request_id, fault_of(failure)))
        answer.addCallback(ended)
