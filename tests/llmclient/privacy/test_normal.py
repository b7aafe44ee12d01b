"""The plain copy of a text, and the way back."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings

from llmclient._privacy._normal import fold, plain
from tests.llmclient.privacy.strategies import texts


@pytest.mark.parametrize(
    "text", ["", "plain text 100%", "Grüße aus Köln, “so”", "日本語のテキスト", "C:\\dir", "&amp;"]
)
def test_a_text_with_nothing_strange_in_it_is_its_own_copy(text: str) -> None:
    copy = plain(text)
    assert (copy.text, copy.steps) == (text, ())


@pytest.mark.parametrize(
    ("text", "copy"),
    [
        ("ａｎｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ", "anna@example.org"),
        ("𝟒𝟏𝟏𝟏 ٤١١١ ४१११ ④", "4111 4111 4111 4"),
        ("a\u200bn\u00adn\u2060a\ufeff", "anna"),
        ("1\u00a02\u202f3\u30004", "1 2 3 4"),
        ("1\u20102\u20133\u22124", "1-2-3-4"),
        ("4\u03361\u0301", "41"),
        ("oﬃce", "office"),
        ("anna%40example%2Eorg%00", "anna@example.org\0"),
        ("%C3%A4%E2%80%8B%EF%BC%94", "ä4"),
        ("%E4%F6", "äö"),
        ("%2540 %252540", "@ @"),
        ("\\u0040 \\\\u0040 \\x40 &#64; &#x40;", "@ @ @ @ @"),
        ('\\n\\t\\"\\/', '\n\t"/'),
        ("\\uff14", "4"),
        ("100% \\ \\\\ &# \\u12 %zz &#x;", "100% \\ \\\\ &# \\u12 %zz &#x;"),
    ],
)
def test_what_looks_or_means_the_same_is_the_same_in_the_copy(text: str, copy: str) -> None:
    assert plain(text).text == copy


def test_places_in_the_copy_are_found_in_the_text() -> None:
    text = "to: ａ\u200bnna%40ex\\u0061mple.org, ﬁn"
    copy = plain(text)
    assert copy.text == "to: anna@example.org, fin"
    start, end = copy.original(copy.text.index("anna"), copy.text.index(","))
    assert text[start:end] == "ａ\u200bnna%40ex\\u0061mple.org"
    assert copy.original(0, len(copy.text)) == (0, len(text))
    i = copy.text.index("i", copy.text.index("fin"))
    assert text[slice(*copy.original(i, i + 1))] == "ﬁ"


def test_marks_and_what_is_invisible_go_with_the_character_before() -> None:
    copy = plain("5\u0301 6\u200b7")
    assert copy.original(0, 1) == (0, 2)
    assert copy.original(2, 3) == (3, 5)
    assert copy.original(3, 4) == (5, 6)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_every_place_leads_back_in_order_and_leaves_nothing_between(text: str) -> None:
    copy = plain(text)
    places = [copy.original(place, place + 1) for place in range(len(copy.text))]
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(start <= after for (start, _), (after, _) in pairwise(places))
    if places:
        assert copy.original(0, len(copy.text)) == (places[0][0], places[-1][1])
        assert plain(text[: places[0][0]]).text == ""
        assert places[-1][1] == len(text)


def test_what_is_folded_keeps_what_it_means() -> None:
    for character in map(chr, range(0x20, 0x30000)):
        folded = fold(character)
        if folded.isdigit() and character.isdecimal():
            assert int(folded) == unicodedata.decimal(character)
        if character.isascii():
            assert folded == character
