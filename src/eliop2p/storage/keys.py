"""
The node's own credentials at the store.

Those that AWS's SDKs find, of an instance or a container say, are looked for by
botocore in a thread, and again before they expire; requests meanwhile go on with those
at hand.
"""

from collections.abc import Callable
from typing import Protocol

from botocore.exceptions import BotoCoreError
from botocore.session import Session
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.base.errors import OriginUnavailable
from eliop2p.base.secret import Secret
from eliop2p.interfaces import IWorker
from eliop2p.signing.own import Keys

LOOK_SECONDS = 60.0
"""
How long found credentials are used before they are looked at again. botocore renews
temporary ones 15 minutes before they end.
"""

RETRY_SECONDS = 5.0
"""
Time between two attempts to find any.
"""

_log = Logger()


class IKeySource(Protocol):
    """
    Knows the node's credentials.
    """

    def keys(self) -> "Deferred[Keys]":
        """
        Give them.

        Raises:
            OriginUnavailable: There are none at the moment (in the Deferred).
        """


class StaticKeys:
    """
    Credentials that stand in the configuration.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def keys(self) -> "Deferred[Keys]":
        """
        See :meth:`IKeySource.keys`.
        """
        return succeed(self._keys)


def look() -> Callable[[], Keys]:
    """
    Prepare to look through the places in which AWS's SDKs look for credentials.

    Returns:
        Looks; blocks, and is called by one thread at a time. Raises OriginUnavailable
        when there are none.
    """
    session = Session()

    def found() -> Keys:
        try:
            credentials = session.get_credentials()
            if credentials is None:
                raise OriginUnavailable("AWS's chain of credentials finds none")
            frozen = credentials.get_frozen_credentials()
        except (BotoCoreError, OSError) as error:
            raise OriginUnavailable(f"no credentials for the store: {error}") from None
        token = Secret(frozen.token) if frozen.token else None
        return Keys(frozen.access_key, Secret(frozen.secret_key), token)

    return found


class ChainKeys:
    """
    Credentials that are looked for in a thread and kept for a while.
    """

    def __init__(
        self,
        worker: IWorker,
        seconds: Callable[[], float],
        find: Callable[[], Keys],
    ) -> None:
        """
        Args:
            worker: Runs the search.
            seconds: A clock.
            find: Searches; blocks.
        """
        self._worker = worker
        self._seconds = seconds
        self._find = find
        self._known: Keys | None = None
        self._looked = 0.0
        self._looking = False
        self._error: OriginUnavailable | None = None
        self._waiting: list[Deferred[Keys]] = []

    def keys(self) -> "Deferred[Keys]":
        """
        See :meth:`IKeySource.keys`.
        """
        pause = RETRY_SECONDS if self._error is not None else LOOK_SECONDS
        never = self._known is None and self._error is None
        if not self._looking and (never or self._seconds() - self._looked >= pause):
            self._look()
        if self._known is not None:
            return succeed(self._known)
        result: Deferred[Keys] = Deferred(self._waiting_ended)
        if self._looking:
            self._waiting.append(result)
        else:
            assert self._error is not None
            result.errback(OriginUnavailable(str(self._error)))
        return result

    def _waiting_ended(self, result: "Deferred[Keys]") -> None:
        if result in self._waiting:
            self._waiting.remove(result)

    def _look(self) -> None:
        self._looking = True
        self._looked = self._seconds()
        self._worker.run(self._find).addCallbacks(self._found, self._failed)

    def _found(self, keys: Keys) -> None:
        self._looking, self._known, self._error = False, keys, None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(keys)

    def _failed(self, failure: Failure) -> None:
        self._looking = False
        if not failure.check(OriginUnavailable):
            _log.failure("Looking for the node's credentials", failure)
        text = failure.getErrorMessage()
        _log.warn("The node's credentials were not found: {error}", error=text)
        self._error = OriginUnavailable(text)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.errback(OriginUnavailable(text))
