"""
How a node stands with its control plane, as a state machine.
"""

import enum
from collections.abc import Callable
from typing import Protocol

import attrs
from automat import TypeMachineBuilder


class PlaneState(enum.Enum):
    """
    How a node stands with its control plane.
    """

    UNREGISTERED = "unregistered"
    REGISTERED = "registered"
    DEGRADED = "degraded"
    LEAVING = "leaving"


class Lifecycle(Protocol):
    """
    What may happen between a node and its control plane.
    """

    def begin(self) -> None:
        """
        The node starts.
        """

    def answered(self) -> None:
        """
        The control plane knows the node, and has just said so.
        """

    def unanswered(self) -> None:
        """
        The control plane gave no usable answer.
        """

    def leave(self) -> None:
        """
        The node stops.
        """


@attrs.define
class _Core:
    """
    Told of each state that is entered.
    """

    entered: Callable[[PlaneState], None]


def _build() -> Callable[[_Core], Lifecycle]:
    builder = TypeMachineBuilder(Lifecycle, _Core)
    unregistered = builder.state("unregistered")
    registered = builder.state("registered")
    degraded = builder.state("degraded")
    leaving = builder.state("leaving")

    @unregistered.upon(Lifecycle.answered).to(registered)
    @degraded.upon(Lifecycle.answered).to(registered)
    def welcome(_: Lifecycle, core: _Core) -> None:
        core.entered(PlaneState.REGISTERED)

    @registered.upon(Lifecycle.unanswered).to(degraded)
    def lose(_: Lifecycle, core: _Core) -> None:
        core.entered(PlaneState.DEGRADED)

    @unregistered.upon(Lifecycle.leave).to(leaving)
    @registered.upon(Lifecycle.leave).to(leaving)
    @degraded.upon(Lifecycle.leave).to(leaving)
    def part(_: Lifecycle, core: _Core) -> None:
        core.entered(PlaneState.LEAVING)

    @unregistered.upon(Lifecycle.begin).to(unregistered)
    @leaving.upon(Lifecycle.begin).to(unregistered)
    def begin(_: Lifecycle, core: _Core) -> None:
        core.entered(PlaneState.UNREGISTERED)

    unregistered.upon(Lifecycle.unanswered).loop().returns(None)
    registered.upon(Lifecycle.answered).loop().returns(None)
    degraded.upon(Lifecycle.unanswered).loop().returns(None)
    for late in (Lifecycle.answered, Lifecycle.unanswered, Lifecycle.leave):
        leaving.upon(late).loop().returns(None)
    return builder.build()


_make = _build()


def make_lifecycle(entered: Callable[[PlaneState], None]) -> Lifecycle:
    """
    Make the machine of a node that is unregistered.

    Args:
        entered: Told of each state that is entered.
    """
    return _make(_Core(entered))
