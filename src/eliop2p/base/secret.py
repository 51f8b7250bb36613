"""
A value that does not show itself.
"""

import hmac

import attrs

REDACTED = "(redacted)"


@attrs.frozen(eq=False, repr=False, hash=False)
class Secret:
    """
    A text that must not reach a log, a traceback or a terminal by accident.

    Attributes:
        _text: The text; only :meth:`reveal` gives it.
    """

    _text: str

    def reveal(self) -> str:
        """
        Give the text, to the one place that needs it.
        """
        return self._text

    def __repr__(self) -> str:
        return f"Secret{REDACTED}"

    def __str__(self) -> str:
        return REDACTED

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))
