"""
Tests for :mod:`eliop2p.http1.target`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import BadRequest
from eliop2p.http1.message import RequestHead
from eliop2p.http1.target import (
    AbsoluteTarget,
    Authority,
    host_of,
    parse_absolute,
    parse_authority,
)


class AuthorityTests(SynchronousTestCase):
    """
    Hosts and ports.
    """

    def test_read(self) -> None:
        """
        Names lose their case and final dot, addresses their brackets; a port that is
        not written is the default.
        """
        for text, host, port in (
            (b"Store.Example", "store.example", 80),
            (b"store.example.:9000", "store.example", 9000),
            (b"10.0.0.1:1", "10.0.0.1", 1),
            (b"[::1]", "::1", 80),
            (b"[FE80::1]:65535", "fe80::1", 65535),
            (b"a_b.example", "a_b.example", 80),
        ):
            self.assertEqual(parse_authority(text, 80), Authority(host, port), text)

    def test_refused(self) -> None:
        """
        User names, paths, empty hosts and impossible ports are refused, and addresses
        of IPv6 without brackets.
        """
        for text in (
            *(b"", b":80", b".", b"a@b", b"a/b", b"a?b", b"a#b", b"a\\b", b"h\xc3\xa4"),
            *(b"a:0", b"a:65536", b"a:-1", b"a:+1", b"a:1 ", b"a:b", b"::1", b"[::1"),
        ):
            with self.assertRaises(BadRequest, msg=repr(text)):
                parse_authority(text, 80)

    def test_host(self) -> None:
        """
        The Host header of a request means port 80 when it names none; it may be absent
        or empty.
        """
        head = RequestHead(b"GET", b"/", ((b"hOST", b"S:81"),))
        self.assertEqual(host_of(head), Authority("s", 81))
        self.assertIsNone(host_of(RequestHead(b"GET", b"/", ((b"Host", b""),))))
        self.assertIsNone(host_of(RequestHead(b"GET", b"/")))


class AbsoluteTests(SynchronousTestCase):
    """
    Targets in absolute form.
    """

    def test_read(self) -> None:
        """
        Path and query stay as they are; an empty path becomes a slash.
        """
        for target, host, port, rest in (
            (b"http://S/a%2f/./..//b?x=%20", "s", 80, b"/a%2f/./..//b?x=%20"),
            (b"HTTP://s:81", "s", 81, b"/"),
            (b"http://s?list-type=2", "s", 80, b"/?list-type=2"),
            (b"http://s//a?b/c", "s", 80, b"//a?b/c"),
            (b"http://s/k?u=http://t/", "s", 80, b"/k?u=http://t/"),
        ):
            expected = AbsoluteTarget(b"http", Authority(host, port), rest)
            self.assertEqual(parse_absolute(target), expected, target)

    def test_scheme(self) -> None:
        """
        The scheme is kept, and gives the default port.
        """
        found = parse_absolute(b"https://s/k")
        self.assertEqual(found, AbsoluteTarget(b"https", Authority("s", 443), b"/k"))

    def test_other_forms(self) -> None:
        """
        Targets in other forms are not absolute, whatever a path contains.
        """
        for target in (b"/a://b", b"*", b"host:443", b"/http://s/k", b"?a://b"):
            self.assertIsNone(parse_absolute(target), target)
