"""Finds the question asked before that is most like this one. Pure, exact, and bounded in memory.

The rule, for whoever switches it on. Two requests are alike when

* everything but the last text of the user is the same: model, system, earlier turns, tools, tenant;
* every word with a digit in it is the same, in the same order: "order 123" is never "order 124";
* of the runs of three words in both texts together, at least the given share is in both (Jaccard). Case, white space
  and the punctuation around words do not count. A text of three words or fewer is one run: it must be the same text.

A single word can turn a meaning around and still leave most runs alike, the more so the longer a text is: texts of more
than 200 words are never alike. In languages written without spaces a sentence is one word.

How: an inverted index, from runs to the texts that have them, and not MinHash, whose estimate would let pairs below the
threshold through. Of n runs, t·n have to be shared; so a match has one of any n - t·n + 1 of them. Looking up that many
of the rarest finds every candidate, and almost no others; those are compared exactly.
"""

import hashlib
import math
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from llmclient import _cache_key, _prompt
from llmclient._forklock import ForkLock

LONGEST: Final = 200  # words
RUN: Final = 3  # words
MOST_RUNS: Final = 50_000  # in the index, about 14 MB
CANDIDATES: Final = 3  # best ones handed out: the first may have been dropped by its cache
AROUND_WORDS: Final = ".,;:!?…\"'“”„‘’«»"


@dataclass(frozen=True, slots=True)
class Question:
    """A request as the index knows it. `scope` stands for all that must be equal."""

    scope: str
    runs: frozenset[int]


def question_of(
    body: Mapping[str, Any], labels: Mapping[str, Any], *, shared: bool, variant: str = ""
) -> Question | None:
    """The question of a request; None when it has none, when it is too long, or when its answer must not be kept."""
    taken = _prompt.question(body)
    if taken is None:
        return None
    words = words_of(taken[0])
    rest = _cache_key.key_of(taken[1], labels, shared=shared, variant=variant)
    if rest is None or not words or len(words) > LONGEST:
        return None
    numbers = " ".join(word for word in words if any(character.isnumeric() for character in word))
    return Question(f"{rest}:{hashlib.sha256(numbers.encode(errors='replace')).hexdigest()}", runs_of(words))


def words_of(text: str) -> list[str]:
    stripped = (word.strip(AROUND_WORDS) for word in unicodedata.normalize("NFC", text).casefold().split())
    return [word for word in stripped if word]


def runs_of(words: list[str]) -> frozenset[int]:
    if len(words) <= RUN:
        return frozenset([hash(tuple(words))])
    return frozenset(hash(tuple(words[start : start + RUN])) for start in range(len(words) - RUN + 1))


def similarity(one: frozenset[int], other: frozenset[int]) -> float:
    """The share of runs that are in both, from 0 to 1."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


class Similar:
    """The questions whose answers are kept, the oldest forgotten first."""

    def __init__(self, most_runs: int = MOST_RUNS) -> None:
        self._most_runs = most_runs
        self._lock = ForkLock()
        self._runs = 0
        self._known: OrderedDict[str, Question] = OrderedDict()
        self._holders: dict[str, dict[int, list[str]]] = {}  # by scope, then by run: the keys of the answers

    def __len__(self) -> int:
        return len(self._known)

    @property
    def runs(self) -> int:
        """Runs held, over all questions: the measure of the memory taken."""
        return self._runs

    def add(self, question: Question, key: str) -> None:
        """The answer to the question is kept under this key."""
        with self._lock:
            self._forget(key)
            self._known[key] = question
            self._runs += len(question.runs)
            holders = self._holders.setdefault(question.scope, {})
            for run in question.runs:
                holders.setdefault(run, []).append(key)
            while self._runs > self._most_runs:
                self._forget(next(iter(self._known)))

    def forget(self, key: str) -> None:
        """The answer is no longer kept."""
        with self._lock:
            self._forget(key)

    def find(self, question: Question, threshold: float) -> list[tuple[float, str]]:
        """The most similar ones, at most three, as similarity and key; the most similar first."""
        with self._lock:
            holders = self._holders.get(question.scope)
            if holders is None:
                return []
            needed = math.ceil(threshold * len(question.runs) - 1e-9)
            rarest = sorted(question.runs, key=lambda run: len(holders.get(run, ())))
            tried = rarest[: len(rarest) - needed + 1]
            candidates = set().union(*(holders.get(run, ()) for run in tried))
            ranked = [(similarity(question.runs, self._known[key].runs), key) for key in candidates]
        return sorted((found for found in ranked if found[0] >= threshold), reverse=True)[:CANDIDATES]

    def _forget(self, key: str) -> None:
        question = self._known.pop(key, None)
        if question is None:
            return
        self._runs -= len(question.runs)
        holders = self._holders[question.scope]
        for run in question.runs:
            holders[run].remove(key)
            if not holders[run]:
                del holders[run]
        if not holders:
            del self._holders[question.scope]
