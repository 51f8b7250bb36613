"""
How a node chooses among the peers that could give a chunk.
"""

import random
from collections.abc import Sequence

from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface

from eliop2p.model.choice import Candidate, Choice


class IPeerSelector(IPlugin, Interface):
    """
    A policy without a memory; found by name among the plugins in ``eliop2p.plugins``.
    """

    name: str = Attribute("What ``[p2p] selection`` calls it.")

    def order(
        candidates: Sequence[Candidate], rng: random.Random
    ) -> tuple[Choice, ...]:
        """
        Say in which order to ask, best first. Decides by its arguments alone, and
        keeps none of them.

        Args:
            candidates: Whom the home proposed, in its order and none twice; each of
                those that receive the chunk was given this node as a child.
            rng: The only chance there is.

        Returns:
            Candidates with reasons, none twice. Those left out are not asked.
        """
