"""
What must not be read in a log, an error text or a listing.
"""

import re

from eliop2p.base.secret import REDACTED

_PATTERNS = (
    # Authorization: AWS4-HMAC-SHA256 ..., as a header, an assignment or a tuple's repr.
    re.compile(
        r"(?i)(\b(?:proxy-)?authorization['\"]?\s*[:=,]\s*(?:b?['\"])?)([^\r\n'\"]+)"
    ),
    # x-amz-security-token: ..., likewise.
    re.compile(
        r"(?i)(\bx-[\w-]*(?:token|secret)['\"]?\s*[:,]\s*(?:b?['\"])?)([^\s'\"]+)"
    ),
    # X-Amz-Signature=, Signature=, X-Amz-Security-Token=, security-token=, token=.
    re.compile(r"(?i)(\b(?:[\w-]*-)?(?:signature|token)=)([^&\s'\"<>,;]+)"),
    re.compile(r"(?i)(\bbearer\s+)([^\s'\",;]+)"),
    # https://user:password@host
    re.compile(r"(\w://)([^/\s@]+)(?=@)"),
)


def redact(text: str) -> str:
    """
    Put a mark in place of signatures, tokens and passwords.
    """
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{REDACTED}", text)
    return text
