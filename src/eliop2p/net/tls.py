"""
TLS from PEM files.
"""

import re
from pathlib import Path

from OpenSSL.crypto import Error as CryptoError
from OpenSSL.SSL import Error as SSLError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS

from eliop2p.base.errors import StartError

_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)


def serve_tls(
    factory: IProtocolFactory, certificate: str, key: str, setting: str
) -> IProtocolFactory:
    """
    Put TLS 1.2 or newer before what a server speaks. Blocks on two small files.

    Args:
        factory: What is spoken inside.
        certificate: A PEM file: the server's certificate, and those that lead from it
            to an authority.
        key: A PEM file with the private key.
        setting: What the certificate is called in the configuration, for errors.

    Raises:
        StartError: The files cannot be used.
    """
    try:
        chain = _read_chain(certificate)
        pair = KeyPair.load(Path(key).read_bytes(), 1)
        own = PrivateCertificate.fromCertificateAndKeyPair(chain[0], pair)
        options = CertificateOptions(
            privateKey=own.privateKey.original,
            certificate=own.original,
            extraCertChain=[each.original for each in chain[1:]],
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        options.getContext()
    except (OSError, ValueError, CryptoError, SSLError) as error:
        raise StartError(f"{setting} = {certificate}: {error}") from error
    tls: IProtocolFactory = TLSMemoryBIOFactory(
        options, isClient=False, wrappedFactory=factory
    )
    return tls


def _read_chain(path: str) -> list[Certificate]:
    """
    Read the certificates in a file, one at least.

    Raises:
        ValueError, OSError, OpenSSL.crypto.Error: There is none, or it is broken.
    """
    certificates = [
        Certificate.loadPEM(pem) for pem in _PEM.findall(Path(path).read_bytes())
    ]
    if not certificates:
        raise ValueError("no PEM certificate in it")
    return certificates


def read_certificates(path: str, setting: str) -> list[Certificate]:
    """
    Read a file of PEM certificates.

    Args:
        path: The file.
        setting: What it is called in the configuration, for errors.

    Raises:
        StartError: The file cannot be read or holds none.
    """
    try:
        return _read_chain(path)
    except (OSError, ValueError, CryptoError) as error:
        raise StartError(f"{setting} = {path}: {error}") from error


def trusting_policy(path: str, setting: str) -> IPolicyForHTTPS:
    """
    Make what tells an Agent whom to trust: the authorities in a file, or the system's.

    Args:
        path: A PEM file, or empty.
        setting: What it is called in the configuration, for errors.

    Raises:
        StartError: The file cannot be read or holds none.
    """
    if not path:
        return BrowserLikePolicyForHTTPS()
    trusted = trustRootFromCertificates(read_certificates(path, setting))
    return BrowserLikePolicyForHTTPS(trusted)
