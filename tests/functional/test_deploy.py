"""
What is under ``deploy/``: it names only what exists, and is what its readers accept.
"""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from eliop2p.base.config import load_node_config
from eliop2p.base.config_keys import BY_PATH
from eliop2p.base.metric_table import TABLE
from tests.functional.chart import Chart, ChartError
from tests.functional.documents import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "eliop2p"
LABELS = {info.name: {*info.labels, "job", "instance"} for info in TABLE}
_NAME = re.compile(r"\b(eliop2p_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")
_SUFFIX = re.compile(r"_(?:bucket|count|sum)$")

helm = shutil.which("helm")


def expressions() -> list[str]:
    """
    Find every PromQL expression under ``deploy/``.
    """
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    board = json.loads((DEPLOY / "prometheus/grafana-dashboard.json").read_text())
    found += [
        target["expr"] for panel in board["panels"] for target in panel["targets"]
    ]
    return found


class TestPrometheus:
    """
    Alert rules and the Grafana dashboard.
    """

    @pytest.mark.parametrize("text", expressions())
    def test_names(self, text: str) -> None:
        """
        Every metric and label of an expression is one that nodes have.
        """
        names = _NAME.findall(text)
        assert names
        known: set[str] = {"le"}
        for written, matchers in names:
            name = written if written in LABELS else _SUFFIX.sub("", written)
            assert name in LABELS, name
            known |= LABELS[name]
            for label in re.findall(r"(\w+)\s*[=!]", matchers):
                assert label in LABELS[name], (name, label)
        for labels in _BY.findall(text):
            assert {each.strip() for each in labels.split(",")} <= known
        assert text.count("(") == text.count(")")

    def test_alerts(self) -> None:
        """
        Every alert says what is the matter and what to do, and its name is used once.
        """
        rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
        alerts = [rule for group in rules["groups"] for rule in group["rules"]]
        names = [rule["alert"] for rule in alerts]
        assert len(set(names)) == len(names)
        for rule in alerts:
            assert rule["annotations"]["summary"].endswith(".")
            assert rule["annotations"]["runbook"]
            assert rule["labels"]["severity"] in {"warning", "critical"}

    def test_panels(self) -> None:
        """
        Panels do not lie on top of each other and every one has a title of its own.
        """
        text = (DEPLOY / "prometheus/grafana-dashboard.json").read_text()
        panels = json.loads(text)["panels"]
        assert len({panel["title"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            place = panel["gridPos"]
            cells = {
                (place["x"] + dx, place["y"] + dy)
                for dx in range(place["w"])
                for dy in range(place["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells


class TestSystemd:
    """
    The units.
    """

    @pytest.mark.parametrize("name", ["eliop2p", "eliop2p-control"])
    def test_verified(self, name: str) -> None:
        """
        Systemd understands every line, and what is started is not root and cannot
        write outside of its own directory.
        """
        unit = DEPLOY / "systemd" / f"{name}.service"
        text = unit.read_text()
        assert f"/twist {name} --config" in text
        for line in (
            *("DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes"),
            *("CapabilityBoundingSet=", "Restart=always"),
        ):
            assert f"\n{line}\n" in text
        if shutil.which("systemd-analyze") is None:
            pytest.skip("needs systemd-analyze")
        ran = subprocess.run(
            ["systemd-analyze", "verify", str(unit)],
            capture_output=True,
            text=True,
            check=False,
        )
        said = [
            line
            for line in ran.stderr.splitlines()
            # Nothing is installed there in tests.
            if name in line and "is not executable" not in line
        ]
        assert said == []


class TestDocker:
    """
    The image.
    """

    def test_sources(self) -> None:
        """
        What is copied is there, and let through to the build.
        """
        text = (DEPLOY / "docker/Dockerfile").read_text()
        allowed = {
            line[1:]
            for line in (ROOT / ".dockerignore").read_text().splitlines()
            if line.startswith("!")
        }
        copied = re.findall(r"^COPY ((?!--from)\S.*) \./?\w*$", text, re.MULTILINE)
        names = {name for line in copied for name in line.split()}
        assert names == allowed
        for name in names:
            assert (ROOT / name).exists()

    def test_ports(self) -> None:
        """
        The ports are the defaults, and it does not run as root.
        """
        text = (DEPLOY / "docker/Dockerfile").read_text()
        exposed = re.findall(r"^EXPOSE (.*)$", text, re.MULTILINE)[0].split()
        keys = ("proxy", "p2p", "control_plane_server", "admin")
        defaults = [BY_PATH[f"{key}.listen_port"].default for key in keys]
        assert exposed == defaults
        assert "\nUSER 10001\n" in text


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Make the manifests, without helm.
    """
    return Chart(CHART, values).manifests()


def by_helm(values: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Have helm make them.
    """
    assert helm is not None
    ran = subprocess.run(
        [helm, "template", "x", str(CHART), "--values", "-"],
        input=yaml.safe_dump(values),
        capture_output=True,
        text=True,
        check=True,
    )
    return [each for each in yaml.safe_load_all(ran.stdout) if each]


def compared(made: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """
    Put manifests in order, without what is drawn by lot or only has to be stable.
    """
    for each in made:
        if each["kind"] == "Secret":
            each["data"] = dict.fromkeys(each["data"])
        template = each.get("spec", {}).get("template")
        if template:
            template["metadata"].pop("annotations")
    return {each["kind"]: each for each in made}


STORE = {"storage": {"endpoint": "http://minio:9000"}}
MORE: tuple[dict[str, Any], ...] = (
    STORE,
    {
        **STORE,
        "existingSecret": "ours",
        "nodeSelector": {"gpu": "yes"},
        "tolerations": [{"operator": "Exists"}],
        "controlPlane": {"storageClass": "fast"},
        "image": {"tag": "7"},
        "ports": {"proxy": 80},
    },
)


class TestChart:
    """
    The Helm chart.
    """

    def test_keys(self) -> None:
        """
        The configuration in the chart has only keys that there are.
        """
        text = (CHART / "templates/configmap.yaml").read_text()
        section = ""
        found = 0
        for line in text.splitlines():
            if match := re.fullmatch(r"\s+\[(\w+)\]", line):
                section = match[1]
            elif match := re.fullmatch(r"\s+(\w+) = .*", line):
                assert f"{section}.{match[1]}" in BY_PATH
                found += 1
        assert found > 10

    def test_values(self) -> None:
        """
        The schema of the values knows every value, and no other.
        """
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        schema = json.loads((CHART / "values.schema.json").read_text())
        assert set(schema["properties"]) - {"global"} == set(values)

    def test_rendered(self, tmp_path: Path) -> None:
        """
        It renders; nobody runs as root but who hands the directory over; every volume
        that is mounted is declared; a node accepts its configuration.
        """
        made = rendered(STORE)
        kinds = sorted(each["kind"] for each in made)
        assert kinds == ["ConfigMap", "DaemonSet", "Secret", "Service", "StatefulSet"]
        by_kind = {each["kind"]: each for each in made}
        for kind in ("DaemonSet", "StatefulSet"):
            spec = by_kind[kind]["spec"]
            pod = spec["template"]["spec"]
            labels = spec["template"]["metadata"]["labels"]
            assert spec["selector"]["matchLabels"].items() <= labels.items()
            volumes = {each["name"] for each in pod["volumes"]} | {
                each["metadata"]["name"]
                for each in spec.get("volumeClaimTemplates", [])
            }
            for container in pod["containers"]:
                assert container["securityContext"]["runAsNonRoot"] is True
                assert container["securityContext"]["readOnlyRootFilesystem"] is True
                assert {each["name"] for each in container["volumeMounts"]} == volumes
        secret = by_kind["Secret"]["data"]
        assert set(secret) == {"cluster-secret", "control-token"}
        text = by_kind["ConfigMap"]["data"]["node.ini"]
        for name in secret:
            path = tmp_path / name
            path.write_text("s3cr3ts3cr3ts3cr3ts3cr3t")
            path.chmod(0o440)
            text = text.replace(f"/run/eliop2p/{name}", str(path))
        file = tmp_path / "node.ini"
        file.write_text(text)
        config = load_node_config(str(file), {}, {})
        assert config.storage.endpoint == "http://minio:9000"
        assert config.control_plane.endpoint == "http://x-eliop2p-control:8081"
        parser = configparser.ConfigParser()
        parser.read_string(by_kind["ConfigMap"]["data"]["control.ini"])
        assert parser["control_plane"]["token_file"] == "/run/eliop2p/control-token"

    @pytest.mark.parametrize(
        "wrong",
        [
            {},
            {"storage": {"endpoint": "minio:9000"}},
            {**STORE, "cache": {"memoryMb": 0}},
            {**STORE, "cahce": {}},
            {**STORE, "ports": {"proxy": "http"}},
        ],
        ids=str,
    )
    def test_values_are_checked(self, wrong: dict[str, Any]) -> None:
        """
        Values that are missing, mistyped or misspelt are refused.
        """
        with pytest.raises(jsonschema.ValidationError):
            rendered(wrong)
        if helm is not None:
            with pytest.raises(subprocess.CalledProcessError):
                by_helm(wrong)

    @pytest.mark.parametrize("values", MORE)
    def test_every_value_is_used(self, values: dict[str, Any]) -> None:
        """
        What is set is found in the manifests.
        """
        text = json.dumps(rendered(values))
        for value in ("minio:9000", values.get("existingSecret", "x-eliop2p")):
            assert value in text
        if values is not STORE:
            for value in ("eliop2p:7", '"gpu": "yes"', '"Exists"', '"fast"'):
                assert value in text
            assert "listen_port = 80\\n" in text
            assert '"kind": "Secret"' not in text

    @pytest.mark.parametrize(
        ("file", "right", "wrong"),
        [
            ("daemonset.yaml", "{{- toYaml .Values.resources", "{{- toYaml .resources"),
            ("daemonset.yaml", '"eliop2p.image"', '"eliop2p.imgae"'),
            ("control.yaml", "{{- end }}", ""),
            ("configmap.yaml", "nindent 4", "indent 4"),
            ("secret.yaml", "{{- end }}", "{{- end }"),
            ("_helpers.tpl", "runAsNonRoot: true", "runAsNonRoot true"),
        ],
    )
    def test_a_broken_chart(
        self, tmp_path: Path, file: str, right: str, wrong: str
    ) -> None:
        """
        A mistake in a template is found without helm.
        """
        broken = tmp_path / "chart"
        shutil.copytree(CHART, broken)
        path = broken / "templates" / file
        text = path.read_text()
        assert right in text
        path.write_text(text.replace(right, wrong))
        with pytest.raises((ChartError, yaml.YAMLError)):
            Chart(broken, STORE).manifests()

    @pytest.mark.skipif(helm is None, reason="needs helm")
    @pytest.mark.parametrize("values", MORE)
    def test_as_helm_does(self, values: dict[str, Any]) -> None:
        """
        The manifests are those that helm makes.
        """
        assert compared(rendered(values)) == compared(by_helm(values))
