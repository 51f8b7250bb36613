"""
What steers the replication: the policy, and commands for nodes.
"""

from twisted.internet.defer import Deferred, succeed
from zope.interface import Interface, implementer

from eliop2p.control.orders import Order, Outcome
from eliop2p.control.policy import Policy


class ISteering(Interface):
    """
    The part of a control plane that is about replication.

    Each method fails with :class:`eliop2p.base.errors.ControlPlaneError` when there is
    no usable answer.
    """

    def policy() -> "Deferred[Policy]":
        """
        Give the policy that holds.
        """

    def set_policy(policy: Policy) -> "Deferred[Policy]":  # noqa: N805
        """
        Replace the policy, if it has the version of the one that holds.

        Returns:
            The one that holds now.
        """

    def order(node_id: str, order: Order) -> "Deferred[None]":  # noqa: N805
        """
        Have a node do something.
        """

    def orders(node_id: str) -> "Deferred[tuple[Order, ...]]":  # noqa: N805
        """
        Give what a node is to do next.
        """

    def acknowledge(
        node_id: str,  # noqa: N805
        command_id: str,
        outcome: Outcome,
    ) -> "Deferred[None]":
        """
        Say what has become of a command.
        """


@implementer(ISteering)
class NullSteering:
    """
    The steering of a node that has no control plane: a policy of its own, which says
    nothing, and commands for nobody.
    """

    def policy(self) -> Deferred[Policy]:
        """
        Give a policy that asks for nothing.
        """
        return succeed(Policy())

    def set_policy(self, policy: Policy) -> Deferred[Policy]:  # noqa: ARG002
        """
        Change nothing.
        """
        return succeed(Policy())

    def order(self, node_id: str, order: Order) -> Deferred[None]:  # noqa: ARG002
        """
        Tell nobody.
        """
        return succeed(None)

    def orders(self, node_id: str) -> Deferred[tuple[Order, ...]]:  # noqa: ARG002
        """
        Have nothing to do.
        """
        return succeed(())

    def acknowledge(
        self,
        node_id: str,  # noqa: ARG002
        command_id: str,  # noqa: ARG002
        outcome: Outcome,  # noqa: ARG002
    ) -> Deferred[None]:
        """
        Tell nobody.
        """
        return succeed(None)
