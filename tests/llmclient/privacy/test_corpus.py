"""The figures docs/privacy.md promises, on the corpus of `corpus.py`."""

import pytest

from llmclient._privacy._redact import Redactor
from tests.llmclient.privacy import corpus
from tests.llmclient.privacy.disguises import DISGUISES
from tests.llmclient.privacy.lookalikes import FAMILIES
from tests.llmclient.privacy.values import KINDS


@pytest.fixture(scope="module")
def samples() -> list[corpus.Sample]:
    return list(corpus.samples())


@pytest.fixture(scope="module")
def tally(samples: list[corpus.Sample]) -> corpus.Tally:
    return corpus.measure(Redactor(), samples)


def test_the_corpus_is_large_and_most_of_it_has_something_to_find(samples: list[corpus.Sample]) -> None:
    assert len(samples) >= 5_000
    assert sum(bool(sample.kind) for sample in samples) >= 0.6 * len(samples)
    assert samples == list(corpus.samples())


def test_at_least_995_of_1000_labels_are_found(tally: corpus.Tally) -> None:
    found, labels = corpus.recall(tally)
    assert labels >= 5_000
    assert found / labels >= 0.995


@pytest.mark.parametrize("kind", KINDS)
def test_that_holds_for_each_kind(tally: corpus.Tally, kind: str) -> None:
    labels = sum(count for (each, _), count in tally.labels.items() if each == kind)
    found = sum(count for (each, _), count in tally.found.items() if each == kind)
    assert found / labels >= 0.995


@pytest.mark.parametrize("group", ["plain", *DISGUISES, "cut by blocks"])
def test_and_at_least_99_of_100_in_each_disguise(tally: corpus.Tally, group: str) -> None:
    keys = [key for key in tally.labels if key[1] == group and key[0] in KINDS]
    assert sum(tally.found[key] for key in keys) / sum(tally.labels[key] for key in keys) >= 0.99


def test_at_least_98_of_100_marks_are_right(tally: corpus.Tally) -> None:
    right, marks = corpus.precision(tally)
    assert right / marks >= 0.98


@pytest.mark.parametrize("seed", [1, 2])
def test_other_samples_made_by_the_same_rules_give_the_same_figures(seed: int) -> None:
    tally = corpus.measure(Redactor(), list(corpus.samples(seed)))
    (found, labels), (right, marks) = corpus.recall(tally), corpus.precision(tally)
    assert found / labels >= 0.995
    assert right / marks >= 0.98


def test_the_report_has_a_row_for_everything(tally: corpus.Tally) -> None:
    report = "\n".join(corpus.report(tally))
    for name in (*KINDS, *DISGUISES, *FAMILIES, *corpus.UNPROMISED):
        assert f"| {name} |" in report
