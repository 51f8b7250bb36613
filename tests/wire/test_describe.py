"""
The reference documentation agrees with the code.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.wire.codec import FRAMES
from eliop2p.wire.describe import describe

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "wire-protocol.md"


class DescribeTests(SynchronousTestCase):
    """
    The tables in the documentation.
    """

    def test_the_reference_is_current(self) -> None:
        """
        The tables between the markers are those that the code prints.
        """
        text = REFERENCE.read_text("utf-8")
        _, _, rest = text.partition("<!-- frames: begin -->\n")
        tables, _, _ = rest.partition("<!-- frames: end -->")
        self.assertEqual(tables.strip(), describe().strip())

    def test_every_field_is_explained(self) -> None:
        """
        No field of any frame lacks a meaning.
        """
        text = describe()
        for frame in FRAMES:
            self.assertIn(f"### {frame.kind}: {frame.message.__name__}", text)
        rows = [line for line in text.splitlines() if line.startswith("| `")]
        for row in rows:
            self.assertNotEqual(row.split(" | ")[-1].strip(" |"), "", row)
