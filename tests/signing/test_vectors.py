"""
Tests for :mod:`eliop2p.signing.admission` with requests of real clients.
"""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.clients import Client
from eliop2p.http1.message import RequestHead
from eliop2p.signing.admission import Admission, admit, verifiers
from eliop2p.signing.refusal import Refused
from eliop2p.signing.resource import path_style
from tests.signing.vectors import REGIONS, Vector, client, known, load

HOUR = 3600.0


def run(vector: Vector, head: RequestHead, who: Client, now: float) -> Admission:
    """
    Check a request at the door.
    """
    verify = verifiers(vector.store, REGIONS[vector.store])
    return admit(head, path_style(head.target), known(who), now, verify)


class VectorTests(SynchronousTestCase):
    """
    Each request as it was sent, and changed in every way that matters.
    """

    def refusal(
        self, vector: Vector, head: RequestHead, who: Client, now: float
    ) -> str:
        """
        Give the code with which a request is refused.
        """
        with self.assertRaises(Refused) as caught:
            run(vector, head, who, now)
        code: str = caught.exception.code
        return code

    def each(self) -> list[tuple[Vector, Client]]:
        """
        Give every request with the client that made it.
        """
        return [(vector, client(token=vector.token)) for vector in load()]

    def test_let_in(self) -> None:
        """
        What a stock client signs is let in, and nothing of the signature is left.
        """
        self.assertGreater(len(self.each()), 30)
        for vector, who in self.each():
            admission = run(vector, vector.head, who, vector.seconds)
            self.assertEqual(admission.proof.client, who, vector.name)
            rest = admission.head.serialize().lower()
            for trace in (b"signature", b"authorization", b"akvector", b"token"):
                self.assertNotIn(trace, rest, vector.name)
            self.assertIn(b"/bkt", rest)

    def test_wrong_secret(self) -> None:
        """
        Another secret gives another signature.
        """
        for vector, who in self.each():
            wrong = client(token=vector.token, secret="another")
            code = self.refusal(vector, vector.head, wrong, vector.seconds)
            self.assertEqual(code, "SignatureDoesNotMatch", vector.name)
            self.assertNotEqual(wrong, who)

    def test_unknown_key(self) -> None:
        """
        Who is not listed is told so.
        """
        for vector, who in self.each():
            other = attrs.evolve(who, access_key="AKOTHER")
            code = self.refusal(vector, vector.head, other, vector.seconds)
            self.assertEqual(code, "InvalidAccessKeyId", vector.name)

    def test_another_key_or_method(self) -> None:
        """
        A signature is good for one object and one method.
        """
        for vector, who in self.each():
            path = vector.head.target.replace(b"/bkt", b"/bkt/x", 1)
            moved = attrs.evolve(vector.head, target=path)
            deleted = attrs.evolve(vector.head, method=b"DELETE")
            for head in (moved, deleted):
                code = self.refusal(vector, head, who, vector.seconds)
                self.assertEqual(code, "SignatureDoesNotMatch", vector.name)

    def test_an_hour_later(self) -> None:
        """
        A signed header is too old after 15 minutes, a URL when its time is over.
        """
        for vector, who in self.each():
            code = self.refusal(vector, vector.head, who, vector.seconds + HOUR)
            url = "url" in vector.name
            expected = "AccessDenied" if url else "RequestTimeTooSkewed"
            self.assertEqual(code, expected, vector.name)

    def test_an_hour_early(self) -> None:
        """
        So is one from the future; V2 and OSS's V1 and V2 have no beginning in URLs.
        """
        for vector, who in self.each():
            if "url" in vector.name and "v4" not in vector.name:
                run(vector, vector.head, who, vector.seconds - HOUR)
                continue
            code = self.refusal(vector, vector.head, who, vector.seconds - HOUR)
            url = "url" in vector.name
            expected = "AccessDenied" if url else "RequestTimeTooSkewed"
            self.assertEqual(code, expected, vector.name)

    def test_tokens(self) -> None:
        """
        A session token must come where one belongs, be the right one, and come nowhere
        else.
        """
        for vector, who in self.each():
            other = client(token=not vector.token)
            code = self.refusal(vector, vector.head, other, vector.seconds)
            right = "InvalidToken" if vector.store == "s3" else "InvalidSecurityToken"
            self.assertEqual(code, right, vector.name)
            self.assertNotEqual(other, who)

    def test_another_store(self) -> None:
        """
        What is signed for the other kind of store counts as not signed.
        """
        for vector, who in self.each():
            other = {"s3": "oss", "oss": "s3"}[vector.store]
            turned = attrs.evolve(vector, store=other)
            code = self.refusal(turned, vector.head, who, vector.seconds)
            self.assertEqual(code, "AccessDenied", vector.name)

    def test_added_header(self) -> None:
        """
        A header that the store acts upon cannot be added to a signed request.
        """
        for vector, who in self.each():
            name = b"x-amz-meta-a" if vector.store == "s3" else b"x-oss-meta-b"
            head = vector.head.adding((name, b"added"))
            code = self.refusal(vector, head, who, vector.seconds)
            expected = ("SignatureDoesNotMatch", "AccessDenied")
            self.assertIn(code, expected, vector.name)
