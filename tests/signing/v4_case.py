"""
Requests signed with Signature V4, right and wrong.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.clients import Access, Client, Rule
from eliop2p.base.secret import Secret
from eliop2p.http1.message import Header, RequestHead
from eliop2p.signing.admission import admit, verifiers
from eliop2p.signing.aws import EMPTY_SHA256, V4, Scope
from eliop2p.signing.refusal import Refused
from eliop2p.signing.resource import path_style

NOW = 1_369_353_600.0  # 20130524T000000Z, the day of AWS's own examples.
DATE = "20130524T000000Z"
AKID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST: Header = (b"Host", b"examplebucket.s3.amazonaws.com")
DATED: Header = (b"x-amz-date", DATE.encode())
EMPTY: Header = (b"x-amz-content-sha256", EMPTY_SHA256.encode())
CREDENTIAL = f"{AKID}/20130524/us-east-1/s3/aws4_request"


def client() -> Client:
    """
    Make the client of AWS's examples.
    """
    rules = (Rule(Access.FULL, b"*"),)
    return Client("example", AKID, Secret(SECRET), None, rules)


def authorization(signature: str, signed: str, credential: str = CREDENTIAL) -> Header:
    """
    Make an Authorization header.
    """
    text = (
        f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={signed},"
        f"Signature={signature}"
    )
    return (b"Authorization", text.encode())


def signed(head: RequestHead, date: str = DATE, payload: str = EMPTY_SHA256) -> str:
    """
    Sign whatever headers a request has.
    """
    names = sorted({name.lower().decode() for name, _ in head.headers})
    key = V4(Secret(SECRET), Scope(date, "us-east-1"))
    query = head.target.partition(b"?")[2].decode()
    return key.sign_request(head, names, query, payload)


def get(*headers: Header, target: bytes = b"/bkt/k") -> RequestHead:
    """
    Make a GET with the usual headers, not signed yet.
    """
    return RequestHead(b"GET", target, (HOST, DATED, EMPTY, *headers))


def with_signature(
    head: RequestHead, date: str = DATE, payload: str = EMPTY_SHA256
) -> RequestHead:
    """
    Sign a request in its header.
    """
    names = ";".join(sorted({name.lower().decode() for name, _ in head.headers}))
    credential = CREDENTIAL.replace("20130524", date[:8])
    return head.adding(authorization(signed(head, date, payload), names, credential))


class V4Case(SynchronousTestCase):
    """
    The door.
    """

    def admit(self, head: RequestHead, now: float = NOW) -> RequestHead:
        """
        Let a request in, and give what is left of it.
        """
        verify = verifiers("s3", "us-east-1")
        resource = path_style(head.target)
        return admit(head, resource, {AKID: client()}, now, verify).head

    def refusal(self, head: RequestHead, now: float = NOW) -> tuple[str, str]:
        """
        Give the code and the message with which a request is refused.
        """
        with self.assertRaises(Refused) as caught:
            self.admit(head, now)
        return caught.exception.code, str(caught.exception)

    def assert_refused(
        self, code: str, part: str, head: RequestHead, now: float = NOW
    ) -> None:
        """
        Refuse a request with a code and a message that says why.
        """
        said = self.refusal(head, now)
        self.assertEqual(said[0], code, said)
        self.assertIn(part, said[1])
