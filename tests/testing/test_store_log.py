"""
What left the store, by the log of nginx, in benchmarks.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.store_log import Sent, read_log, sent_again


class StoreLogTests(SynchronousTestCase):
    """
    Logs that are made up.
    """

    def test_read(self) -> None:
        """
        Answers are read in the order of asking, as far as they were sent; those without
        a body are left out.
        """
        path = Path(self.mktemp())
        path.write_text(
            "a|bytes=8-15|4|102.500|1.500\nb|-|16|100.500|0.500\na|-|0|99.000|0.000\n"
        )
        self.assertEqual(
            read_log(path), [Sent("b", 0, 16, 100.0), Sent("a", 8, 12, 101.0)]
        )

    def test_again(self) -> None:
        """
        What only the dead had been sent is told from what a survivor had been, too.
        """
        sent = [
            Sent("dead", 0, 8, 0.0),
            Sent("one", 8, 16, 1.0),
            Sent("one", 0, 4, 2.0),
            Sent("two", 2, 10, 3.0),
        ]
        self.assertEqual(sent_again(sent[:2], {"dead"}), (0, 0))
        self.assertEqual(sent_again(sent[:3], {"dead"}), (4, 0))
        self.assertEqual(sent_again(sent, {"dead"}), (8, 4))
