"""
Tests for :mod:`eliop2p.base.clients`.
"""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.clients import Access, Client, Rule, parse_clients
from eliop2p.base.secret import Secret

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "verify-clients.md"

ALICE = """
[alice]
access_key = AKALICE
secret_key = s3cr%t
allow = read models
        write scratch/alice/
"""


def client(*rules: Rule) -> Client:
    """
    Make a client with some rights.
    """
    return Client("alice", "AKALICE", Secret("s"), None, rules)


class ParseTests(SynchronousTestCase):
    """
    The credentials file.
    """

    def problem(self, text: str) -> str:
        """
        Read a file that cannot be used, and give what is said of it.
        """
        return str(self.assertRaises(ValueError, parse_clients, text))

    def test_good(self) -> None:
        """
        A section is a client, each line of allow a right; percent signs mean nothing.
        """
        found = parse_clients(ALICE)["AKALICE"]
        self.assertEqual(found.name, "alice")
        self.assertEqual(found.secret_key.reveal(), "s3cr%t")
        self.assertIsNone(found.session_token)
        self.assertEqual(
            found.rules,
            (
                Rule(Access.READ, b"models"),
                Rule(Access.WRITE, b"scratch", b"alice/"),
            ),
        )

    def test_documented(self) -> None:
        """
        The file in the how-to can be used.
        """
        text = re.findall("```text\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)[0]
        self.assertEqual(
            [each.name for each in parse_clients(text).values()],
            ["trainer", "dashboard"],
        )

    def test_wrong(self) -> None:
        """
        Everything that is wrong is said at once, with section and key, without secrets.
        """
        text = ALICE + (
            "[bob]\naccess_key = AKALICE\nsecret_key = hunter2\nallow = read a\n"
            "[carol]\naccess_key = A\nsecret_key = hunter2\nallow = read a\n"
            "[dave]\naccess_key = AKDAVE\nallow = read a\n"
            "[erin]\naccess_key = AKERIN\nsecret_key = hunter2\n"
            "[frank]\naccess_key = AKFRANK\nsecret_key = hunter2\nallow = raed a\n"
            "[grace]\naccess_key = AKGRACE\nsecret_key = hunter2\nallow = read a:b\n"
            "[heidi]\naccess_key = AKHEIDI\nsecret_key = hunter2\nalow = read a\n"
        )
        said = self.problem(text)
        for part in (
            "[bob] access_key: is that of [alice] as well",
            "[carol] access_key: expected",
            "[dave] secret_key: is not set",
            "[erin] allow: expected at least one line",
            "[frank] allow: expected 'read or write or full",
            "[grace] allow: 'a:b' is no name of a bucket",
            "[heidi] alow: there is no such key",
        ):
            self.assertIn(part, said)
        self.assertNotIn("hunter2", said)

    def test_no_file_of_the_kind(self) -> None:
        """
        What is no INI file is refused by its line, which is not quoted.
        """
        self.assertIn("names no client", self.problem(""))
        said = self.problem("[alice]\naccess_key = AKALICE\nhunter2\n")
        self.assertIn("line", said)
        self.assertNotIn("hunter2", said)


class RightsTests(SynchronousTestCase):
    """
    What rules give.
    """

    def test_more_includes_less(self) -> None:
        """
        Who may write may read; who may read may not write.
        """
        writer = client(Rule(Access.WRITE, b"b"))
        self.assertTrue(writer.may(Access.READ, b"b", b"k"))
        self.assertFalse(writer.may(Access.FULL, b"b", b"k"))
        reader = client(Rule(Access.READ, b"b"))
        self.assertFalse(reader.may(Access.WRITE, b"b", b"k"))

    def test_prefix(self) -> None:
        """
        A prefix is that of the key, and keys that something on the way might take for
        others outside of it are refused.
        """
        reader = client(Rule(Access.READ, b"b", b"team/"))
        self.assertTrue(reader.may(Access.READ, b"b", b"team/k"))
        for key in (b"", b"team", b"teams/k", b"/team/k", b"team/../k", b"team/./k"):
            self.assertFalse(reader.may(Access.READ, b"b", key), key)
        self.assertFalse(reader.may(Access.READ, b"c", b"team/k"))
        self.assertTrue(reader.knows(b"b"))
        self.assertFalse(reader.knows(b"c"))

    def test_whole_bucket(self) -> None:
        """
        In a whole bucket every key is good, dots included, as with the stores.
        """
        reader = client(Rule(Access.READ, b"b"))
        self.assertTrue(reader.may(Access.READ, b"b", b"a/../k"))

    def test_any_bucket(self) -> None:
        """
        A star stands for every bucket, with the prefix in each.
        """
        reader = client(Rule(Access.READ, b"*", b"public/"))
        self.assertTrue(reader.may(Access.READ, b"x", b"public/k"))
        self.assertFalse(reader.may(Access.READ, b"x", b"private/k"))
