"""
A real control plane behind TLS, and what its log and its node's say of tokens.
"""

import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from eliop2p.cli.local_cluster import (
    LocalNode,
    ServiceProcess,
    _registered,
    free_ports,
)

TOKEN = "a-t0ken-that-nobody-guesses"


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """
    Make a certificate for this machine's loopback, signed by itself.

    Returns:
        The certificate and its key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "control")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "control.pem", directory / "control-key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def status_of(url: str, context: ssl.SSLContext, token: str) -> int:
    """
    Make a request with a token.
    """
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def wait_for(holds: Callable[[], bool]) -> None:
    """
    Wait until something holds.
    """
    pause = threading.Event()
    for _ in range(400):
        if holds():
            return
        pause.wait(0.1)
    raise TimeoutError


def test_tls(tmp_path: Path) -> None:
    """
    A node registers over TLS with an authority that it is told of; whoever does not
    trust that is not answered; no token, right or wrong, is in any log.
    """
    certificate, key = make_certificate(tmp_path)
    ports = free_ports(4)
    base = f"https://127.0.0.1:{ports[0]}"
    control = ServiceProcess(
        "control",
        "eliop2p-control",
        tmp_path,
        {
            "general": {"data_dir": tmp_path / "control", "log_level": "DEBUG"},
            "control_plane": {"token": TOKEN},
            "control_plane_server": {
                "listen_port": ports[0],
                "bind_address": "127.0.0.1",
                "tls_certificate": certificate,
                "tls_key": key,
            },
        },
        f"{base}/health",
    )
    (tmp_path / "store").mkdir()
    node = LocalNode(
        "node1",
        tmp_path,
        {
            "general": {
                "node_id": "node1",
                "bind_address": "127.0.0.1",
                "data_dir": tmp_path / "node1",
                "log_level": "DEBUG",
            },
            "proxy": {"listen_port": ports[1]},
            "p2p": {"listen_port": ports[2]},
            "admin": {"listen_port": ports[3]},
            "cache": {"memory_cache_size_mb": 64, "disk_cache_size_mb": 0},
            "control_plane": {
                "endpoint": base,
                "token": TOKEN,
                "ca_file": certificate,
            },
            "storage": {"type": "local", "endpoint": tmp_path / "store"},
        },
    )
    url = f"{base}/api/v1/nodes"
    trusting = ssl.create_default_context(cafile=str(certificate))

    def listens() -> bool:
        try:
            return status_of(url, trusting, TOKEN) == 200
        except urllib.error.URLError:
            return False

    try:
        control.start()
        wait_for(listens)
        node.start()
        node.wait_ready()
        wait_for(lambda: _registered(node))
        assert status_of(url, trusting, "guessed-t0ken") == 403
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            status_of(url, ssl.create_default_context(), TOKEN)
    finally:
        node.stop()
        control.stop()
    for log in (control.log, node.log):
        text = log.read_text(encoding="utf-8", errors="replace")
        assert text
        assert TOKEN not in text
        assert "guessed-t0ken" not in text
