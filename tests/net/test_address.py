"""
Tests for :mod:`eliop2p.net.address`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.net.address import is_internal


class InternalTests(SynchronousTestCase):
    """
    Addresses that a name must not lead to.
    """

    def test_internal(self) -> None:
        """
        Loopback, link-local, metadata services, everybody and nobody are internal, in
        either version of IP and in one dressed as the other.
        """
        for host in (
            *("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"),
            *("169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0"),
            *("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "224.0.0.1"),
        ):
            self.assertTrue(is_internal(host), host)

    def test_store_addresses(self) -> None:
        """
        Public and private networks are where stores are.
        """
        for host in ("10.0.0.5", "192.168.1.1", "172.16.0.1", "52.1.2.3", "fd12::1"):
            self.assertFalse(is_internal(host), host)
