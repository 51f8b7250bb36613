"""
What either side of a connection may send, and when, as a table.
"""

from enum import Enum
from typing import get_args

import attrs

from eliop2p.wire.cluster_events import (
    AskHolders,
    AskTally,
    FindObject,
    ForgetObject,
    FoundObject,
    Inlined,
    ListedObjects,
    ListObjects,
    Probe,
    Probed,
    PublishObject,
    Rate,
    Rumour,
    ToldHolders,
    ToldTally,
)
from eliop2p.wire.events import (
    Cancel,
    Data,
    Done,
    Fail,
    Get,
    Gone,
    Goodbye,
    Have,
    Hello,
    Leased,
    Locate,
    Located,
    Message,
    Opened,
    Ping,
    Pong,
    Proof,
)

Question = Locate | FindObject | Probe | ListObjects | AskHolders | AskTally
Reply = (
    Located | Inlined | FoundObject | Probed | ListedObjects | ToldHolders | ToldTally
)
"""
Requests that one message answers, and those messages.
"""

Request = Question | Get | Ping
Answer = Reply | Data | Done | Fail | Pong


class Role(Enum):
    """
    Who opened the connection; the value is what the proof calls it.
    """

    CONNECTING = b"\1"
    ACCEPTING = b"\2"


class State(Enum):
    """
    What is expected of the other side.
    """

    HELLO = "before hello"
    PROOF = "before proof"
    OPEN = "open"
    LEFT = "after goodbye"
    BROKEN = "broken"


ANSWERS: dict[type[Message], frozenset[type[Message]]] = {
    Locate: frozenset({Located, Inlined, Fail}),
    FindObject: frozenset({FoundObject, Fail}),
    Get: frozenset({Data, Done, Fail}),
    Probe: frozenset({Probed, Fail}),
    ListObjects: frozenset({ListedObjects, Fail}),
    AskHolders: frozenset({ToldHolders, Fail}),
    AskTally: frozenset({ToldTally, Fail}),
    Ping: frozenset({Pong}),
}
"""
What may answer each request. All but DATA end it; a cancelled request is ended too.
"""

ANSWERING = frozenset[type[Message]]().union(*ANSWERS.values())

OneWay = (
    Have
    | Gone
    | Opened
    | Leased
    | PublishObject
    | ForgetObject
    | Rumour
    | Rate
    | Goodbye
)
"""
Messages that nothing answers.
"""

ONE_WAY = frozenset[type[Message]](get_args(OneWay))

ACCEPTED: dict[State, frozenset[type[Message]]] = {
    State.HELLO: frozenset({Hello}),
    State.PROOF: frozenset({Proof}),
    State.OPEN: ANSWERING | ONE_WAY | ANSWERS.keys() | {Cancel},
    State.LEFT: frozenset(),
    State.BROKEN: frozenset(),
}
"""
What the other side may send in each state.
"""


@attrs.frozen
class Established:
    """
    Both sides have proved themselves.

    Attributes:
        node_id: Who is there.
    """

    node_id: str


Event = Established | Answer | Question | Get | Cancel | OneWay
"""
What can come out of a session.
"""
