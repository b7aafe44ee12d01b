"""What is found, and what only looks like it."""

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.redaction import HOSTILE
from llmclient._privacy._detectors import DETECTORS, Detectors
from llmclient._privacy._redact import Redactor
from llmclient._privacy._spans import Span, merged
from tests.llmclient.privacy.strategies import texts

REDACTOR = Redactor()
ALL = Detectors(DETECTORS)
NUMBER = re.compile(r"[0-9][0-9 ()./+\-]{6,}+")
SECRET = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0iL3oR6uX9a"

FOUND = [
    ("Write to anna.o'neil+x@mail.example.co.uk, please", "Write to [email], please"),
    ('"anna b"@example.org or BOB@EXAMPLE.ORG.', "[email] or [email]."),
    ("bücher@köln.example _x_@a.io x@[192.0.2.1]", "[email] [email] [email]"),
    ("mailto:bob@example.com?subject=hi <c@d.eu>", "mailto:[email]?subject=hi <[email]>"),
    ("邮箱是anna@example.com。", "邮箱是[email]。"),
    ("4111 1111 1111 1111, 4111-1111-1111-1111, 4111111111111111", "[card], [card], [card]"),
    ("3782 822463 10005 and 30569309025904", "[card] and [card]"),
    ("6759649826438453 5555555555554444 12/27 123", "[card] [card] 12/27 123"),
    ("DE89 3704 0044 0532 0130 00 and gb29nwbk60161331926819", "[iban] and [iban]"),
    ("NO93-8601-1117-947.", "[iban]."),
    ("078-05-1120, 078 05 1120, SSN: 078051120", "[ssn], [ssn], SSN: [ssn]"),
    ("from 203.0.113.9:443 and [2001:db8::8a2e:370:7334]:443", "from [ip]:443 and [[ip]]:443"),
    ("::ffff:192.0.2.1 addr:fe80::1 2001:DB8:0:0:8:800:200C:417A", "[ip] addr:[ip] [ip]"),
    ("+49 151 23456789, +49 (0)30 123456, 0049-30-123456", "[phone], [phone], [phone]"),
    ("(212) 555-1234 ext. 12, 212.555.1234, 1-800-555-1234", "[phone], [phone], [phone]"),
    ("+33 6 12 34 56 78 / 06.12.34.56.78", "[phone] / [phone]"),
    ("0151 23456789, 089/123456, (030) 123456, 01512345678", "[phone], [phone], [phone], [phone]"),
    ("020 7946 0958; 07700 900123; 07700900123", "[phone]; [phone]; [phone]"),
    ("612 34 56 78, (11) 91234-5678, 079 123 45 67", "[phone], [phone], [phone]"),
    ("Tel. 2125551234, customer_phone: 5550123", "Tel. [phone], customer_phone: [phone]"),
    ("my phone number is 12345678", "my phone number is [phone]"),
    (f"sk-ant-api03-{SECRET} llv_ing_0123456789_{SECRET}_ab12cd", "[api_key] [api_key]"),
    (f"AKIAIOSFODNN7EXAMPLE ghp_{SECRET} xoxb-123456789012-{SECRET}", "[api_key] [api_key] [api_key]"),
    (f"AIza{SECRET[:35]} sk_live_{SECRET} sk-proj-{SECRET}", "[api_key] [api_key] [api_key]"),
    (f"Authorization: Bearer {SECRET}", "Authorization: Bearer [api_key]"),
    ("authorization: Basic YW5uYTpzM2NyZXQ=", "authorization: Basic [api_key]"),
    (f'"client_secret": "{SECRET}"', '"client_secret": "[api_key]"'),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.", "[jwt]."),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nbye", "[private_key]\nbye"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEabc/+=\n", "[private_key]"),
    ("postgres://app:s3cr@db.example.com/x", "postgres://app:[password]@db.example.com/x"),
    ("redis://:pw@h/0", "redis://:[password]@h/0"),
]  # fmt: skip

LOOKALIKES = [
    "react@18.2.0 @app.get('/x') git@github.com:org/repo.git logo@2x.png a@b user@localhost W @ x.T",
    "4111 1111 1111 1112, 1234 5678 9012 3456, 0.4111111111111111, 1700000000123456",
    "DE88 3704 0044 0532 0130 00, XX89 3704 0044 0532 0130 00, DE123456789",
    "000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000, 123456789",
    "127.0.0.1:80, 0.0.0.0, 1.2.3, 1.2.3.4.5, 256.1.1.1, version 1.2.3.4, v1.2.3.4",
    "::, ::1, std::vector, abc::def, 10:30:45, 00:1a:2b:3c:4d:5e, a:b:c",
    "2026-11-23 10:15:00, 23.11.2026 10:15, 11/23/2026, 2026-11-23T10:15:00.123456+01:00",
    "1.234.567,89 €, 1 234 567, $1,234,567.89, +12.5 %, 12 345 678",
    "Order 100234, 302-1234567-7654321, 4500012345, 00340434161094042557, ISBN 978-3-16-148410-0",
    "550e8400-e29b-41d4-a716-446655440000 d41d8cd98f00b204e9800998ecf8427e 0803-4252",
    "sk-learn-based-pipeline-for-text risk-adjusted-returns-over-the-long-run Bearer of good news",
    "api_key = os.environ['API_KEY']; token = get_token(user, retries=3); max_tokens=400",
    "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
    "http://localhost:3000/a@b https://example.com:8080/x?y=1",
]


@pytest.mark.parametrize(("text", "clean"), FOUND)
def test_what_is_looked_for_is_found_and_nothing_beside_it(text: str, clean: str) -> None:
    assert REDACTOR.redact(text).text == clean


@pytest.mark.parametrize("text", LOOKALIKES)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert REDACTOR.redact(text).text == text


def test_of_two_that_overlap_the_first_in_the_list_says_what_both_are() -> None:
    answer = REDACTOR.redact(f"api_key=sk-ant-{SECRET}@example.org")
    assert (answer.text, answer.counts) == ("api_key=[api_key]", {"api_key": 1})


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_the_longest_that_is_read_takes_long(name: str) -> None:
    text = HOSTILE[name](64 * 1024)
    began = time.process_time()
    assert REDACTOR.redact(text).text is not None
    # About 0.1 s for the worst of them; what grows with the square of the length would take minutes.
    assert time.process_time() - began < 2


def searched_plainly(text: str) -> list[Span]:
    """What all detectors find when every one of them reads all that it could be in."""
    numbers = [(max(match.start() - 2, 0), match.end() + 1) for match in NUMBER.finditer(text)]
    found = []
    for each in DETECTORS:
        for start, end in numbers if each.where == "in numbers" else [(0, len(text))]:
            places = filter(None, map(each.check, each.pattern.finditer(text, start, end)))
            found += [Span(*place, each.kind) for place in places if place[0] < place[1]]
    return merged(found, ALL.rank)


numbers = st.lists(
    st.one_of(
        st.text("0123456789 ()./+-", max_size=9), st.sampled_from(["tel ", "DE", " x12", "+49 ", "00", ",", "a", "\n"])
    )
).map("".join)


@settings(max_examples=1_000, deadline=None)
@given(st.one_of(texts, numbers))
@example("tel 089/123456 x 12 and +49 30 5557 0142, x 12")
@example("1 1.2.3.4 12.34.56.78.9 DE89 3704 0044 0532 0130 00 XX12")
@example("x:access_key=AAAABBBBCCCC1111 api_key: access_key=AAAABBBBCCCC1111")
def test_what_is_left_out_for_speed_would_have_found_nothing(text: str) -> None:
    assert merged((Span(*place, kind) for kind, place in ALL.find(text)), ALL.rank) == searched_plainly(text)


def test_every_detector_looks_for_something_that_has_what_it_needs() -> None:
    assert [each for each in DETECTORS if each.where == "in numbers" and each.digits == 0] == []
    assert [each.kind for each in DETECTORS if each.where == "behind a country"] == ["iban"]
