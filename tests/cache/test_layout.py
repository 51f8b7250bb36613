"""
Tests for :mod:`eliop2p.cache.layout`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.layout import ChunkName, parse_names
from eliop2p.testing.conformance import made_up


class NameTests(SynchronousTestCase):
    """
    The names of files.
    """

    def test_round_trip(self) -> None:
        """
        A name says what it was made of, in its folder and in no other.
        """
        for number in range(50):
            chunk_id, _, digest = made_up(number)
            name = ChunkName(chunk_id, number * 1000, digest)
            folder, _, text = name.path.partition("/")
            self.assertEqual(list(parse_names(int(folder, 16), [text])), [name])
            stray = parse_names(chunk_id[0] ^ 1, [text])
            self.assertEqual((list(stray), stray.others), ([], [text]))

    def test_others(self) -> None:
        """
        Nothing but what we would write ourselves is taken for a name of ours.
        """
        chunk_id, _, digest = made_up(1)
        name = ChunkName(chunk_id, 255, digest)
        text = str(name)
        for other in (
            "",
            text + "\n",
            text[:-1],
            text.replace("-ff-", "-FF-"),
            text.replace("-ff-", "-0ff-"),
            text[:-1] + "B",
            text[:42] + "B" + text[43:],
        ):
            parsed = parse_names(chunk_id[0], [text, other])
            self.assertEqual((list(parsed), parsed.others), ([name], [other]))
        both = f"{text}\n{text}"
        self.assertEqual(parse_names(chunk_id[0], [both]).others, [both])
