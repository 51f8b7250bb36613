"""
Whether a request is let in: who signed it, and may they do what it asks.
"""

from collections.abc import Sequence

import attrs

from eliop2p.base.clients import Clients
from eliop2p.http1.message import RequestHead
from eliop2p.signing.claim import Proof, Verify
from eliop2p.signing.needs import check_rights
from eliop2p.signing.oss_verify import OssVerifier
from eliop2p.signing.refusal import access_denied
from eliop2p.signing.resource import Resource
from eliop2p.signing.strip import stripped
from eliop2p.signing.v2 import V2Verifier
from eliop2p.signing.v4 import V4Verifier


@attrs.frozen
class Admission:
    """
    A request that was let in.

    Attributes:
        head: The request without what it was signed with.
        proof: What the signature proves.
    """

    head: RequestHead
    proof: Proof


def verifiers(store_type: str, region: str) -> tuple[Verify, ...]:
    """
    Give what checks the signatures of a store's clients.

    Args:
        store_type: As ``[storage] type`` has it.
        region: The store's.
    """
    if store_type == "oss":
        return (OssVerifier(region),)
    return (V4Verifier(region), V2Verifier())


def admit(
    head: RequestHead,
    resource: Resource,
    clients: Clients,
    now: float,
    verify: Sequence[Verify],
) -> Admission:
    """
    Let a request in.

    Args:
        head: As the client sent it.
        resource: What it is about.
        clients: Who is known.
        now: Epoch seconds.
        verify: What checks signatures.

    Raises:
        Refused: It is not let in.
    """
    for check in verify:
        proof = check(head, resource, clients, now)
        if proof is not None:
            bare = stripped(head)
            check_rights(proof.client, bare, resource)
            return Admission(bare, proof)
    raise access_denied("Access Denied: the request is not signed")
