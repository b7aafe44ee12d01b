"""Which questions are alike: the rule, by hand, and the index against a plain search."""

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient import _similar
from llmclient._similar import Question, Similar, question_of, runs_of, similarity, words_of

USER = {"user_id": "4711"}


def asked(text: Any, **more: Any) -> dict[str, Any]:
    return {"model": "claude-haiku-5-5", "messages": [{"role": "user", "content": text}], **more}


def question(text: Any, labels: dict[str, Any] = USER, *, shared: bool = False, **more: Any) -> Question | None:
    return question_of(asked(text, **more), labels, shared=shared)


def alike(one: str, other: str) -> float | None:
    """The similarity of two questions; None when they may never share an answer."""
    first, second = question(one), question(other)
    assert first is not None
    assert second is not None
    return similarity(first.runs, second.runs) if first.scope == second.scope else None


def test_words_are_what_stands_between_white_space_less_case_and_punctuation_around() -> None:
    assert words_of("  Where is\tmy “Order”,\nplease?  … ") == ["where", "is", "my", "order", "please"]
    assert words_of("STRASSE Straße") == ["strasse", "strasse"]
    assert words_of("-5 (6) $7.50, 1,000.") == ["-5", "(6)", "$7.50", "1,000"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("How do I return it?", "how do i  return it", 1.0),
        # a b c d e f g h against a b c d e f g x: five of their runs are the same, each has one of its own.
        ("a b c d e f g h", "a b c d e f g x", 5 / 7),
        # One word in the middle of ten belongs to three runs: five of eight are left on both sides.
        ("a b c d e f g h i j", "a b c d X f g h i j", 5 / 11),
        ("a b c d", "d c b a", 0.0),
        ("yes", "yes.", 1.0),
        ("yes", "no", 0.0),
        ("a b c", "a b c d", 1 / 2),
        ("a b", "a b c", 0.0),
    ],
)
def test_the_share_of_runs_of_three_words(one: str, other: str, expected: float) -> None:
    assert alike(one, other) == alike(other, one) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("where is order 123", "where is order 124"),
        ("where is order 123", "where is order 12 3"),
        ("where is order 123", "where is order"),
        ("from 2 to 3", "from 3 to 2"),
        ("what is 5 degrees", "what is -5 degrees"),
        ("what is 1.5 percent", "what is 15 percent"),
        ("pay $50 now", "pay €50 now"),
        ("room B12", "room B13"),
        ("take ½ of it", "take ⅓ of it"),
        ("area in m²", "area in m³"),
        ("第三 章", "第四 章"),
    ],
)
def test_numbers_must_be_the_same(one: str, other: str) -> None:
    assert alike(one, other) is None
    assert alike(one, one.upper() + "!") == 1.0


def test_everything_else_must_be_the_same() -> None:
    plain = question("where is it")
    earlier = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
    others = [
        question("where is it", {"user_id": "4712"}),
        question("where is it", {**USER, "prompt_version": "2"}),
        question("where is it", shared=True),
        question("where is it", system="Be brief."),
        question("where is it", model="claude-opus-5-5"),
        question_of({**asked(""), "messages": [*earlier, *asked("where is it")["messages"]]}, USER, shared=False),
        question([{"type": "image", "source": {}}, {"type": "text", "text": "where is it"}]),
    ]
    assert plain is not None
    assert len({plain.scope, *(other.scope for other in others if other)}) == 8
    assert plain == question([{"type": "text", "text": "Where is it?"}])


def test_what_cannot_be_alike_is_no_question() -> None:
    assert question("where is it", {}) is None
    assert question("where is it", {}, shared=True) is not None
    assert question([{"type": "image", "source": {}}]) is None
    assert question(" ?! ") is None
    assert question("word " * 200) is not None
    assert question("word " * 201) is None


def test_the_best_come_first_and_only_those_above_the_threshold() -> None:
    index = Similar()
    texts = ["a b c d e f g h", "a b c d e f g x", "a b c d e f y x", "a b c d z w y x", "q r s t u v w x"]
    for text in texts:
        found = question(text)
        assert found is not None
        index.add(found, text)
    looked_for = question(texts[0])
    assert looked_for is not None
    # 6 of 6 runs, 5 of 7, 4 of 8; 2 of 10 and 0 of 12 are below.
    assert index.find(looked_for, 0.5) == [(1.0, texts[0]), (5 / 7, texts[1]), (0.5, texts[2])]
    assert index.find(looked_for, 0.51) == [(1.0, texts[0]), (5 / 7, texts[1])]
    index.forget(texts[0])
    assert index.find(looked_for, 0.51) == [(5 / 7, texts[1])]


def test_nothing_is_found_in_another_scope() -> None:
    index = Similar()
    index.add(Question("one", frozenset([1, 2])), "key")
    assert index.find(Question("other", frozenset([1, 2])), 0.1) == []


words = st.lists(st.sampled_from("abcd"), min_size=1, max_size=9)
scopes = st.sampled_from(["one", "other"])


@given(st.lists(st.tuples(scopes, words), max_size=12), scopes, words, st.floats(0.05, 1.0))
@settings(max_examples=300, deadline=None)
def test_the_index_finds_what_a_plain_search_finds(
    known: list[tuple[str, list[str]]], scope: str, looked_for: list[str], threshold: float
) -> None:
    index = Similar()
    for place, (where, said) in enumerate(known):
        index.add(Question(where, runs_of(said)), f"{place:02}")
    runs = runs_of(looked_for)
    shares = [(similarity(runs, runs_of(said)), f"{n:02}") for n, (where, said) in enumerate(known) if where == scope]
    expected = sorted((found for found in shares if found[0] >= threshold), reverse=True)[:3]
    assert index.find(Question(scope, runs), threshold) == expected


@given(st.lists(st.tuples(st.sampled_from("stuv"), scopes, words), max_size=30), st.integers(1, 25))
@settings(max_examples=150, deadline=None)
def test_it_never_holds_more_than_it_may(steps: list[tuple[str, str, list[str]]], most: int) -> None:
    index = Similar(most)
    for key, scope, said in steps:
        index.add(Question(scope, runs_of(said)), key)
        assert index.runs == sum(len(known.runs) for known in index._known.values()) <= most
        held = sum(len(keys) for holders in index._holders.values() for keys in holders.values())
        assert held == index.runs
    for key in "stuv":
        index.forget(key)
    assert (len(index), index.runs, index._holders) == (0, 0, {})


def test_the_oldest_is_forgotten_first() -> None:
    index = Similar(4)
    for key, runs in (("old", [1, 2]), ("newer", [3, 4])):
        index.add(Question("s", frozenset(runs)), key)
    index.add(Question("s", frozenset([5])), "newest")
    assert list(index._known) == ["newer", "newest"]


def test_a_fork_can_use_it_at_once() -> None:
    index = Similar()
    index.add(Question("s", frozenset([1])), "key")
    index._lock.held.acquire()
    child = os.fork()
    if child == 0:
        os._exit(0 if index.find(Question("s", frozenset([1])), 1.0) == [(1.0, "key")] else 1)
    index._lock.held.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_question_takes_a_few_kilobytes_at_most() -> None:
    assert _similar.MOST_RUNS * 300 <= 16 * 1024 * 1024
