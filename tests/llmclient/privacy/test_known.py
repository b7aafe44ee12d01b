"""Texts that come again are not searched again, and nobody keeps them."""

import gc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient._privacy import _known
from llmclient._privacy._known import Found, Known
from llmclient._privacy._redact import Redactor
from tests.llmclient.privacy.strategies import documents, texts

LONG = "Anna Berg of Ulm writes to anna@example.org and calls +49 30 5557 0142 "


@settings(max_examples=200, deadline=None)
@given(st.lists(documents, max_size=3))
def test_the_second_answer_is_the_first_one_and_that_of_another_redactor(several: list[object]) -> None:
    redactor = Redactor()
    first = [redactor.redact_json(each) for each in several]
    assert [redactor.redact_json(each) for each in several] == first
    assert [Redactor().redact_json(each) for each in several] == first


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, min_size=1, max_size=3), st.sampled_from(["", "phone", "a"]))
def test_the_label_and_how_texts_are_cut_make_a_difference(several: list[str], label: str) -> None:
    redactor = Redactor()
    redactor.clean(["".join(several)], Counter())
    redactor.clean(several, Counter())
    counts, alone = Counter[str](), Counter[str]()
    assert redactor.clean(several, counts, label) == Redactor().clean(several, alone, label)
    assert counts == alone


def test_what_was_found_is_counted_every_time() -> None:
    redactor = Redactor()
    assert [redactor.redact(LONG).counts for _ in range(3)] == [{"email": 1, "phone": 1}] * 3


def test_no_text_is_kept_as_it_was_written() -> None:
    redactor = Redactor()
    redactor.redact(LONG)
    clean = "a text of more than fourteen characters without anything in it"
    redactor.redact(clean)
    kept = [value for value in gc.get_referents(redactor._known) if isinstance(value, dict)]
    assert "anna@example.org" not in repr(kept)
    assert clean not in repr(kept)
    assert len(kept[0]) == 2


def test_the_least_recently_seen_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_known, "MOST_TEXTS", 2)
    known = Known()
    hashes = [known.hash_of([text], "") for text in ("a", "b", "c")]
    for hashed in hashes[:2]:
        known.put(hashed, ["x"], ["x"], {})
    assert known.get(hashes[0]) == Found(None, {}, 0)
    known.put(hashes[2], ["x"], ["y"], {"k": 1})
    assert [known.get(hashed) is None for hashed in hashes] == [False, True, False]
    assert known.get(hashes[2]) == Found(("y",), {"k": 1}, 50)


def test_redacted_texts_are_kept_up_to_a_mebibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_known, "MOST_BYTES", 1_000)
    known = Known()
    for number in range(3):
        known.put(known.hash_of([str(number)], ""), ["a"], ["x" * 351], {"k": 1})  # 400 bytes each
    assert [known.get(known.hash_of([str(number)], "")) is None for number in range(3)] == [True, False, False]
    known.put(known.hash_of(["large"], ""), ["a"], ["x" * _known.LARGEST], {"k": 1})
    assert known.get(known.hash_of(["large"], "")) is None


def test_functions_of_the_application_are_asked_every_time() -> None:
    asked: list[str] = []

    def note(text: str) -> str:
        asked.append(text)
        return text

    redactor = Redactor([note])
    redactor.redact(LONG)
    redactor.redact(LONG)
    assert asked == [LONG, LONG]
