"""
Header field lines, as RFC 9112 lets them through.
"""

from eliop2p.http1.message import Header

_TOKEN = (
    b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)


def is_token(text: bytes) -> bool:
    """
    Tell whether the text is a method or a header name (RFC 9110, section 5.6.2).
    """
    return bool(text) and not text.translate(None, _TOKEN)


def split_field(line: bytes) -> Header:
    """
    Read one field line, without its line end.

    White space before the colon, continuation lines and empty names are refused:
    what the next server makes of them is anybody's guess.

    Raises:
        ValueError: The line is not a field.
    """
    name, colon, value = line.partition(b":")
    if not colon or not name or name.translate(None, _TOKEN):
        raise ValueError(f"not a header line: {line[:64]!r}")
    return name, value.strip(b" \t")
