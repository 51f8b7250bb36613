"""
Tests for :mod:`eliop2p.base.secret`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.secret import Secret


class SecretTests(SynchronousTestCase):
    """
    What a secret shows of itself.
    """

    def test_hidden(self) -> None:
        """
        Neither repr, str, nor formatting shows the text.
        """
        secret = Secret("hunter2")
        for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]!r}"):
            self.assertNotIn("hunter2", shown)
            self.assertIn("(redacted)", shown)

    def test_reveal(self) -> None:
        """
        The text is given to whoever asks for it by name.
        """
        self.assertEqual(Secret("hunter2").reveal(), "hunter2")

    def test_equality(self) -> None:
        """
        Secrets are equal when their texts are, and never equal to a text.
        """
        self.assertEqual(Secret("é"), Secret("é"))
        self.assertNotEqual(Secret("a"), Secret("b"))
        self.assertNotEqual(Secret("a"), "a")
        self.assertEqual(len({Secret("a"), Secret("a")}), 1)
