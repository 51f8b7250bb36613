"""
Dates as HTTP and the signature schemes write them, to and from epoch seconds.
"""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_tz

_LONGEST = 64


def http_date(seconds: float) -> bytes:
    """
    Write a Date or Last-Modified value.

    Args:
        seconds: Since the epoch; parts of a second are dropped.
    """
    moment = datetime.fromtimestamp(int(seconds), UTC)
    return format_datetime(moment, usegmt=True).encode("ascii")


def parse_http_date(text: bytes) -> float | None:
    """
    Read any of the forms of RFC 9110, section 5.6.7, or one with a numeric zone.

    Returns:
        Seconds since the epoch, or None when the text is no date.
    """
    if len(text) > _LONGEST:
        return None
    fields = parsedate_tz(text.decode("latin-1"))
    if fields is None:
        return None
    try:
        moment = datetime(*fields[:6], tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment.timestamp() - (fields[9] or 0)


def basic_date(seconds: float) -> str:
    """
    Write the basic ISO 8601 form of the newer signature schemes.

    Args:
        seconds: Since the epoch; parts of a second are dropped.
    """
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y%m%dT%H%M%SZ")


def parse_basic_date(text: bytes) -> float | None:
    """
    Read the basic ISO 8601 form of the newer signature schemes, ``20130524T000000Z``.

    Returns:
        Seconds since the epoch, or None when the text is no such date.
    """
    digits = text[:8] + text[9:15]
    if len(text) != 16 or not digits.isdigit() or text[8:9] + text[15:] != b"TZ":
        return None
    parts = [int(digits[:4])]
    parts += [int(digits[start : start + 2]) for start in range(4, 14, 2)]
    try:
        year, month, day, hour, minute, second = parts
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
