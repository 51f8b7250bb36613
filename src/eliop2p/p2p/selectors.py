"""
Finds the policies for choosing peers by name, and gives ours their names.
"""

import random
from collections.abc import Sequence

import attrs
from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedModule
from zope.interface import implementer

from eliop2p.base.errors import StartError
from eliop2p.interfaces import IPeerSelector
from eliop2p.model.choice import Candidate, Choice
from eliop2p.p2p.policies import Policy

# By name: the modules in there import this package.
_PLUGINS = "eliop2p.plugins"


@implementer(IPlugin, IPeerSelector)
@attrs.frozen
class NamedSelector:
    """
    A policy with a name.
    """

    name: str
    _policy: Policy

    def order(
        self, candidates: Sequence[Candidate], rng: random.Random
    ) -> tuple[Choice, ...]:
        """
        See :meth:`IPeerSelector.order`.
        """
        return self._policy(candidates, rng)


def find_selector(name: str) -> IPeerSelector:
    """
    Find a policy that is installed.

    Raises:
        StartError: None is called so; the text names those that there are.
    """
    found = {
        selector.name: selector
        for selector in getPlugins(IPeerSelector, namedModule(_PLUGINS))
    }
    if name not in found:
        raise StartError(
            f"[p2p] selection = {name!r}: there is no such policy; installed are "
            f"{', '.join(sorted(found))}"
        )
    return found[name]
