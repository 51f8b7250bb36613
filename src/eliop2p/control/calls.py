"""
Requests to the control plane that have found their route.
"""

from collections.abc import Callable

import attrs

from eliop2p.control import answers
from eliop2p.control.fields import BadMessage, decode
from eliop2p.control.messages import NODE_ID_REMEDY, is_node_id
from eliop2p.control.orders import is_command_id
from eliop2p.control.routes import Match


@attrs.frozen
class Call:
    """
    A request that has found its route.

    Attributes:
        node_id: The node that the path names, empty when it names none.
        command_id: The command that the path names, likewise.
        query: The parameters.
        body: The body.
    """

    node_id: str
    command_id: str
    query: dict[bytes, list[bytes]]
    body: bytes

    def message(self) -> object:
        """
        Read the body.

        Raises:
            BadMessage: It is no JSON.
        """
        return decode(self.body)

    def number(self, name: str, high: int) -> int:
        """
        Read a parameter that is a whole number, 0 when it is not there.

        Raises:
            BadMessage: It is something else, or too large.
        """
        given = self.query.get(name.encode(), [b"0"])
        text = given[0].decode("ascii", "replace")
        digits = len(given) == 1 and text.isdecimal() and text.isascii()
        if not digits or len(text) > 16 or int(text) > high:
            remedy = f"send one whole number from 0 to {high}"
            raise BadMessage(name, text[:80], remedy)
        return int(text)


def read_call(found: Match, query: dict[bytes, list[bytes]], body: bytes) -> Call:
    """
    Read what a request is about.

    Raises:
        Refusal: A name in the path cannot be one.
    """
    node_id = command_id = ""
    if "{id}" in found.names:
        node_id = _read_name(found.names["{id}"], "node_id", is_node_id)
    if "{command}" in found.names:
        command_id = _read_name(found.names["{command}"], "id", is_command_id)
    return Call(node_id, command_id, query, body)


def _read_name(segment: bytes, field: str, right: Callable[[str], bool]) -> str:
    text = segment.decode("utf-8", "replace")
    if "\ufffd" in text or not right(text):
        shown = segment[:80].decode("ascii", "backslashreplace")
        raise answers.bad_message(field, shown, NODE_ID_REMEDY)
    return text
