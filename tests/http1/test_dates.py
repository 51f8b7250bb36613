"""
Tests for :mod:`eliop2p.http1.dates`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.dates import http_date, parse_basic_date, parse_http_date

EXAMPLE = 784_111_777


class DatesTests(SynchronousTestCase):
    """
    Dates are written in the one form and read in all.
    """

    def test_write(self) -> None:
        """
        A date is written as RFC 9110 prefers it.
        """
        self.assertEqual(http_date(EXAMPLE + 0.9), b"Sun, 06 Nov 1994 08:49:37 GMT")

    def test_forms(self) -> None:
        """
        The three forms of RFC 9110, and numeric zones, are read.
        """
        for text in (
            b"Sun, 06 Nov 1994 08:49:37 GMT",
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
            b"Sun, 06 Nov 1994 09:49:37 +0100",
        ):
            self.assertEqual(parse_http_date(text), EXAMPLE, text)

    @given(st.integers(0, 253_402_300_799))
    def test_round_trip(self, seconds: int) -> None:
        """
        What is written is read back.
        """
        self.assertEqual(parse_http_date(http_date(seconds)), seconds)

    @given(st.binary(max_size=70))
    def test_noise(self, text: bytes) -> None:
        """
        Nothing makes the readers fail.
        """
        parse_http_date(text)
        parse_basic_date(text)

    def test_basic(self) -> None:
        """
        The basic form is read strictly.
        """
        self.assertEqual(parse_basic_date(b"19941106T084937Z"), EXAMPLE)
        for text in (
            b"",
            b"19941106 084937Z",
            b"19941106T084937+",
            b"19941306T084937Z",
            b"1994110 T084937Z",
            b"19941106T0849370Z",
        ):
            self.assertIsNone(parse_basic_date(text), text)
