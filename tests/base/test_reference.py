"""
The reference says what the code does.
"""

from twisted.trial.unittest import SynchronousTestCase

from tests.base import reference


class ReferenceTests(SynchronousTestCase):
    """
    The tables of the reference against the tables of the code.
    """

    maxDiff = None

    def test_configuration(self) -> None:
        """
        ``configuration.md`` has a row for every key and no others, in order.
        """
        rows = reference.table_rows("configuration.md")
        self.assertEqual(rows, reference.configuration_rows())

    def test_metrics(self) -> None:
        """
        ``metrics.md`` has a row for every metric and no others, in order.
        """
        rows = reference.table_rows("metrics.md")
        self.assertEqual(rows, reference.metric_rows())
