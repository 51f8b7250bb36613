"""
Tests for :mod:`eliop2p.base.metrics`.
"""

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.metric_table import TABLE
from eliop2p.base.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """
    Read back what is rendered.
    """
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


class MetricsTests(SynchronousTestCase):
    """
    What Prometheus is told.
    """

    def test_every_metric(self) -> None:
        """
        Every metric of the table is rendered under its name, kind and help, and no
        other is.
        """
        families = list(text_string_to_metric_families(Metrics().render().decode()))
        self.assertEqual(
            [(family.name, family.type, family.documentation) for family in families],
            [
                (
                    info.name.removesuffix("_total")
                    if info.kind == "counter"
                    else info.name,
                    info.kind,
                    info.help,
                )
                for info in TABLE
            ],
        )

    def test_attributes(self) -> None:
        """
        There is an attribute for every metric, named as the metric.
        """
        metrics = Metrics()
        for info in TABLE:
            name = info.name.removeprefix("eliop2p_").removesuffix("_total")
            self.assertTrue(hasattr(metrics, name), name)

    def test_counting(self) -> None:
        """
        What is counted is rendered, by label.
        """
        metrics = Metrics()
        metrics.served_bytes.labels(source="disk").inc(5)
        metrics.requests.labels("GET", "hit", "2xx").inc()
        metrics.request_seconds.observe(0.003)
        found = samples(metrics)
        self.assertEqual(
            found["eliop2p_served_bytes_total", (("source", "disk"),)], 5.0
        )
        labels = (("cache", "hit"), ("method", "GET"), ("status", "2xx"))
        self.assertEqual(found["eliop2p_requests_total", labels], 1.0)
        self.assertEqual(found["eliop2p_request_seconds_count", ()], 1.0)

    def test_zero_is_told(self) -> None:
        """
        Known labels are there before anything happened, so that rates begin at zero.
        """
        found = samples(Metrics())
        self.assertEqual(found["eliop2p_auth_total", (("outcome", "refused"),)], 0.0)
        self.assertEqual(
            found["eliop2p_served_bytes_total", (("source", "peer"),)], 0.0
        )

    def test_observed(self) -> None:
        """
        A function gives the value at the moment of rendering, in place of what was
        counted under the same labels.
        """
        metrics = Metrics()
        value = [1]
        metrics.observe("eliop2p_members", {}, lambda: value[0])
        metrics.observe("eliop2p_cache_used_bytes", {"tier": "disk"}, lambda: value[0])
        metrics.observe("eliop2p_origin_bytes_total", {}, lambda: value[0])
        metrics.origin_bytes.inc(100)
        value[0] = 7
        found = samples(metrics)
        self.assertEqual(found["eliop2p_members", ()], 7.0)
        self.assertEqual(found["eliop2p_cache_used_bytes", (("tier", "disk"),)], 7.0)
        self.assertEqual(found["eliop2p_origin_bytes_total", ()], 7.0)

    def test_observed_beside_counted(self) -> None:
        """
        Labels that nobody observes keep what was counted.
        """
        metrics = Metrics()
        metrics.errors.labels(kind="a").inc()
        metrics.observe("eliop2p_errors_total", {"kind": "b"}, lambda: 2)
        found = samples(metrics)
        self.assertEqual(found["eliop2p_errors_total", (("kind", "a"),)], 1.0)
        self.assertEqual(found["eliop2p_errors_total", (("kind", "b"),)], 2.0)

    def test_wrong_observation(self) -> None:
        """
        Only counters and gauges of the table can be observed, with all their labels.
        """
        metrics = Metrics()
        for name, labels in (
            ("eliop2p_nothing", {}),
            ("eliop2p_request_seconds", {}),
            ("eliop2p_members", {"a": "b"}),
            ("eliop2p_cache_chunks", {}),
        ):
            self.assertRaises(ValueError, metrics.observe, name, labels, lambda: 0)

    def test_nothing_shared(self) -> None:
        """
        Two nodes in one process count for themselves.
        """
        one, other = Metrics(), Metrics()
        one.origin_requests.inc()
        self.assertEqual(samples(other)["eliop2p_origin_requests_total", ()], 0.0)
