"""
TLS in front of a store: nginx with a certificate of its own authority.
"""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from eliop2p.cli.local_cluster import free_ports
from tests.functional.stores.daemons import Daemons, answers

PROGRAMS = ("nginx",)

_CONFIG = """\
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {directory}/cert.pem;
        ssl_certificate_key {directory}/key.pem;
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            # What clients have signed.
            proxy_set_header Host $http_host;
            proxy_http_version 1.1;
        }}
    }}
    server {{
        listen 127.0.0.1:{plain};
        return 204;
    }}
}}
"""


def _certify(directory: Path) -> None:
    """
    Write a certificate for 127.0.0.1, which is its own authority, and its key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def start_tls(daemons: Daemons, behind: int) -> int:
    """
    Start a server that speaks TLS; ``cert.pem`` in its directory is whom to trust.

    Args:
        daemons: Holds the process.
        behind: The port of the store.

    Returns:
        Its port.

    Raises:
        StoreFailed: It does not start.
    """
    directory = daemons.directory
    _certify(directory)
    port, plain = free_ports(2)
    conf = directory / "nginx.conf"
    conf.write_text(
        _CONFIG.format(directory=directory, port=port, behind=behind, plain=plain)
    )
    daemons.start("nginx", "nginx", "-p", directory, "-c", conf)
    daemons.wait(lambda: answers(f"http://127.0.0.1:{plain}/"), "nginx answers")
    return port
