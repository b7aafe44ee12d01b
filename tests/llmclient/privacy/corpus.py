"""Labelled texts, the same for the same seed, and how many of the labels the redactor finds.

`python -m tests.llmclient.privacy.corpus` prints the tables of docs/privacy.md.
"""

import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

from llmclient._privacy._redact import Redactor
from tests.llmclient.privacy import values
from tests.llmclient.privacy.disguises import DISGUISES
from tests.llmclient.privacy.lookalikes import FAMILIES

SEED: Final = 20261123
PLAIN: Final = 220  # of each kind, as it is
DISGUISED: Final = 36  # of each kind, in each disguise
SPLIT: Final = 60  # of each kind, cut by the blocks of a message
LOOKALIKES: Final = 300  # of each family
SLACK: Final = 3  # characters a mark may reach beyond its label
UNPROMISED: Final = ("email, odd local part", "phone, bare digits without a label")

BETWEEN: Final = tomllib.loads((Path(__file__).parent / "frames.toml").read_text())


@dataclass(frozen=True, slots=True)
class Sample:
    """A text with one value in it, or one of a family without any."""

    kind: str
    """What the value is; empty for a text without."""
    group: str
    """The disguise, or the family."""
    before: str
    value: str
    after: str
    cuts: tuple[int, ...] = ()
    """Where the blocks of the message end, in the value."""

    @property
    def text(self) -> str:
        return f"{self.before}{self.value}{self.after}"


def samples(seed: int = SEED) -> Iterator[Sample]:
    """All of them; at least three in five have a value."""
    rng = Random(seed)
    for kind in values.KINDS:
        for _ in range(PLAIN):
            yield _sample(rng, kind, "plain")
        for disguise in DISGUISES:
            for _ in range(DISGUISED):
                yield _sample(rng, kind, disguise)
        for _ in range(SPLIT):
            yield _sample(rng, kind, "cut by blocks")
    yield from _unpromised(rng)
    for family, make in FAMILIES.items():
        for _ in range(LOOKALIKES):
            before, after = _frame(rng)
            yield Sample("", family, before, make(rng), after)


def _sample(rng: Random, kind: str, group: str) -> Sample:
    before, value, after = _plain(rng, kind)
    if group in DISGUISES:
        return Sample(kind, group, before, DISGUISES[group](rng, value), after)
    if group == "plain":
        return Sample(kind, group, before, value, after)
    cuts = tuple(sorted(rng.sample(range(1, len(value)), min(rng.choice((1, 1, 2, 5)), len(value) - 1))))
    return Sample(kind, group, before, value, after, cuts)


def _plain(rng: Random, kind: str) -> tuple[str, str, str]:
    templates = values.TEMPLATES
    before, after = _frame(rng)
    value = values.KINDS[kind](rng)
    if kind == "password":
        before, after = rng.choice(BETWEEN["logins"])
    elif kind == "phone" and rng.random() < 0.2:
        before, value = rng.choice(templates["phone_labels"]), values.filled(rng, rng.choice(templates["bare_phones"]))
    elif kind == "api_key" and rng.random() < 0.2:
        before, value = rng.choice(templates["named_keys"]), values.filled(rng, rng.choice(("*{40}", "#?" * 16)))
    elif kind == "ssn" and rng.random() < 0.15:
        before, value = (
            rng.choice(("SSN: ", "ssn=", "social security number ")),
            value.replace("-", "").replace(" ", ""),
        )
    return before, value, after


def _unpromised(rng: Random) -> Iterator[Sample]:
    for _ in range(PLAIN):
        before, after = _frame(rng)
        yield Sample(UNPROMISED[0], "plain", before, values.email(rng, values.ODD_LOCALS), after)
        before, after = _frame(rng)
        yield Sample(
            UNPROMISED[1], "plain", before, values.filled(rng, rng.choice(values.TEMPLATES["bare_phones"])), after
        )


def _frame(rng: Random) -> tuple[str, str]:
    before, after = rng.choice(BETWEEN["frames"])
    return before, after


@dataclass(slots=True)
class Tally:
    """Counts by kind, by group, and marks that mark nothing."""

    labels: Counter[tuple[str, str]]
    found: Counter[tuple[str, str]]
    marks: Counter[str]
    right: Counter[str]
    clean: Counter[str]
    marked: Counter[str]
    wrong: list[Sample]


def measure(redactor: Redactor, all_samples: list[Sample]) -> Tally:
    """A label is found when all of its characters are gone; a mark is right when at most SLACK characters longer."""
    tally = Tally(Counter(), Counter(), Counter(), Counter(), Counter(), Counter(), [])
    for sample in all_samples:
        found, marks, right = _blocks(redactor, sample) if sample.cuts else _text(redactor, sample)
        tally.marks.update(marks)
        tally.right.update(right)
        if sample.kind:
            tally.labels[sample.kind, sample.group] += 1
            tally.found[sample.kind, sample.group] += found
        else:
            tally.clean[sample.group] += 1
            tally.marked[sample.group] += bool(marks)
        if len(right) < len(marks) or (sample.kind and not found):
            tally.wrong.append(sample)
    return tally


def _text(redactor: Redactor, sample: Sample) -> tuple[bool, list[str], list[str]]:
    spans = redactor.spans(sample.text)
    start, end = len(sample.before), len(sample.before) + len(sample.value)
    covered = {place for span in spans for place in range(span.start, span.end)}
    found = bool(sample.kind) and covered.issuperset(range(start, end))
    close = [s for s in spans if s.start < end and s.end > start and s.start >= start - SLACK and s.end <= end + SLACK]
    return found, [span.kind for span in spans], [span.kind for span in close if sample.kind]


def _blocks(redactor: Redactor, sample: Sample) -> tuple[bool, list[str], list[str]]:
    """Of a text in several blocks, the value must be gone and everything else be there."""
    places = [0, *(len(sample.before) + cut for cut in sample.cuts), len(sample.text)]
    blocks = [{"type": "text", "text": sample.text[a:b]} for a, b in pairwise(places)]
    answer = redactor.redact_json({"content": blocks})
    joined = "".join(block["text"] for block in answer.document["content"])
    marks = [kind for kind, count in answer.counts.items() for _ in range(count)]
    found = any(
        joined == f"{sample.before[: len(sample.before) - less]}[{sample.kind}]{sample.after[more:]}"
        for less in range(SLACK + 1)
        for more in range(SLACK + 1)
    )
    return found, marks, marks if found else []


def share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def report(tally: Tally) -> Iterator[str]:
    """The tables of docs/privacy.md."""
    kinds = [*values.KINDS, *UNPROMISED]
    yield "| kind | texts | found | right of what was marked |\n|---|---:|---:|---:|"
    for kind in kinds:
        labels = sum(count for (each, _), count in tally.labels.items() if each == kind)
        found = sum(count for (each, _), count in tally.found.items() if each == kind)
        yield f"| {kind} | {labels:,} | {share(found, labels)} | {share(tally.right[kind], tally.marks[kind])} |"
    yield "\n| disguise | texts | found |\n|---|---:|---:|"
    for group in ("plain", *DISGUISES, "cut by blocks"):
        labels = sum(count for (kind, each), count in tally.labels.items() if each == group and kind not in UNPROMISED)
        found = sum(count for (kind, each), count in tally.found.items() if each == group and kind not in UNPROMISED)
        yield f"| {group} | {labels:,} | {share(found, labels)} |"
    yield "\n| lookalike | texts | marked by mistake |\n|---|---:|---:|"
    for family in FAMILIES:
        yield f"| {family} | {tally.clean[family]:,} | {tally.marked[family]} |"
    (found, labels), (right, marks) = recall(tally), precision(tally)
    yield f"\nRecall {found / labels:.2%} of {labels:,} labels, precision {right / marks:.2%} of {marks:,} marks."


def recall(tally: Tally) -> tuple[int, int]:
    """Labels found, and labels, of the promised kinds."""
    promised = [key for key in tally.labels if key[0] not in UNPROMISED]
    return sum(tally.found[key] for key in promised), sum(tally.labels[key] for key in promised)


def precision(tally: Tally) -> tuple[int, int]:
    """Marks that are right, and marks."""
    return tally.right.total(), tally.marks.total()


def main() -> None:
    tally = measure(Redactor(), list(samples()))
    for line in report(tally):
        print(line)  # noqa: T201  # it is what this program is for


if __name__ == "__main__":
    main()
