"""Quality: do answers have the form asked for, are they whole, and what do people think of them?"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from typing import NamedTuple
from uuid import UUID

from metrics import units
from metrics.units import Unit
from metrics.windows import Window
from tests.dashboard.oracle.asked import NONE, File, Scene, Tile, cuts, group, rates, spoken, tile, value
from tests.dashboard.oracle.world import HOUR, NOW, Said
from tests.metrics import oracle
from tests.metrics.oracle import Call, ratio

EXACT = Context(prec=28)
# The quantile of the normal distribution that 95 % lie within.
Z = Decimal("1.959963984540054")
BAD = ("refusal", "truncated", "invalid_output")


def wilson(good: int, of: int) -> tuple[Decimal, Decimal] | None:
    """The interval the true share lies in, in 95 of 100 cases (Wilson 1927)."""
    if of == 0:
        return None
    share, z2 = EXACT.divide(Decimal(good), Decimal(of)), EXACT.multiply(Z, Z)
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    margin = Z * EXACT.sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return Decimal(0) if good == 0 else middle - margin, Decimal(1) if good == of else middle + margin


def checked(calls: Sequence[Call]) -> tuple[int, int]:
    found = [call.valid for call in calls if call.valid is not None]
    return sum(found), len(found)


def valid(scene: Scene) -> File:
    return scene.course({"valid": "valid_rate"})


def trouble(scene: Scene) -> File:
    return scene.course({"repaired": "repair_rate", "refused": "refusal_rate", "cut off": "truncation_rate"})


def length(scene: Scene) -> File:
    return scene.course({"tokens per answer": "output_length"})


def versions(scene: Scene) -> File:
    """Those with most calls first; which of two with as many comes first is nobody's promise."""
    found = group(scene.now, lambda call: (call.prompt_type or NONE, call.prompt_version or NONE))
    rows = []
    for names, calls in found.items():
        shares = [
            value(metric, calls) for metric in ("repair_rate", "refusal_rate", "truncation_rate", "output_length")
        ]
        between = wilson(*checked(calls)) or (None, None)
        rows.append((*names, len(calls), checked(calls)[1], value("valid_rate", calls), *between, *shares))
    rows.sort(key=lambda row: (-row[2], row[:2]))
    labels = ["Prompt type", "Prompt version", "Calls", "Checked", "Valid", "Valid, at least", "Valid, at most"]
    return File([*labels, "Repaired", "Refused", "Cut off", "Tokens per answer"], rows)


class Told(NamedTuple):
    """Scores of one name."""

    numbers: list[tuple[Decimal, str]]
    """As they are written, each with its call."""
    words: Counter[str]

    @property
    def times(self) -> int:
        return len(self.numbers) + self.words.total()

    @property
    def mean(self) -> Decimal | None:
        whole = sum((number for number, _ in self.numbers), Decimal(0))
        return EXACT.divide(whole, len(self.numbers)) if self.numbers else None


def told(scene: Scene, calls: Sequence[Call] | None) -> dict[str, Told]:
    """What was told of these calls, by name, told most often first."""
    ids = {call.id for call in calls or ()}
    found: dict[str, Told] = {}
    for one in scene.world.said:
        if one.call in ids:
            _add(found.setdefault(one.name, Told([], Counter())), one)
    return dict(sorted(found.items(), key=lambda item: (-item[1].times, item[0])))


def _add(to: Told, one: Said) -> None:
    if one.word:
        to.words[one.word] += 1
    else:
        to.numbers.append((Decimal(str(one.value)), one.call))


def main_score(scene: Scene) -> str | None:
    return next((name for name, own in told(scene, scene.now).items() if own.numbers), None)


def score(scene: Scene) -> File:
    """The mean of the score told most, by the hour where the range is longer than three."""
    name, window = main_score(scene), scene.asked.window
    if name is None:
        return File(["Time (UTC)", "mean"], [])
    step = scene.asked.step if window.end - window.start <= 3 * HOUR else max(scene.asked.step, HOUR)
    first = window.start.replace(minute=0) if step == HOUR else window.start
    rows = []
    for cut, calls in cuts(Window(first, window.end), step, scene.now):
        own = told(scene, calls).get(name)
        rows.append((cut.start, None if cut.start >= NOW or own is None else own.mean))
    return File(["Time (UTC)", name], rows)


def scores(scene: Scene) -> File:
    before = told(scene, scene.before)
    rows: list[tuple[object, ...]] = []
    for name, own in told(scene, scene.now).items():
        earlier = before.get(name, Told([], Counter()))
        if own.numbers:
            rows.append((name, "", len(own.numbers), own.mean, len(earlier.numbers), earlier.mean))
        for word, count in sorted(own.words.items(), key=lambda item: (-item[1], item[0])):
            rows.append((name, word, count, None, earlier.words[word], None))
    return File(["Score", "Word", "Told", "Mean", "Told before", "Mean before"], rows)


def most_told(own: Told) -> str:
    most = sorted(own.words.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{word} {units.ratio(ratio(count, own.words.total()))}" for word, count in most)


def by_version(scene: Scene) -> File:
    rows = []
    for (kind, version), calls in group(scene.now, lambda call: (call.prompt_type, call.prompt_version)).items():
        for name, own in told(scene, calls).items():
            rows.append((name, kind, version, own.times, own.mean, most_told(own)))
    rows.sort(key=lambda row: (-row[3], row[:3]))
    return File(["Score", "Prompt type", "Prompt version", "Told", "Mean", "Most often"], rows)


def samples(scene: Scene) -> File:
    """The eight newest bad answers, and of each score the three lowest numbers when they are below its mean."""
    at = {call.id: call.at for call in scene.now}
    bad = sorted((call for call in scene.now if call.error in BAD), key=lambda call: UUID(call.id), reverse=True)
    rows: list[tuple[object, ...]] = [(call.id, call.at, spoken(call.error), None) for call in bad[:8]]
    for name, own in told(scene, scene.now).items():
        lowest = sorted(own.numbers, key=lambda one: (one[0], -UUID(one[1]).int))[:3]
        below = [one for one in lowest if own.mean is not None and one[0] < own.mean]
        rows += [(call, at[call], f"{name}:", float(number)) for number, call in below]
    return File(["Call", "Time (UTC)", "Why", "Score"], rows)


def tiles(scene: Scene) -> list[Tile]:
    labels = (
        ("valid_rate", "Valid answers", Unit.RATIO, f"of {units.count(checked(scene.now)[1])} checked"),
        ("repair_rate", "Repaired", Unit.RATIO, "asked for again"),
        ("truncation_rate", "Cut off", Unit.RATIO, "at the token limit"),
        ("refusal_rate", "Refused", Unit.RATIO, "the model declined"),
    )
    answered = sum(1 for call in scene.now if call.is_answered)
    length = tile(scene, "Tokens per answer", "output_length", Unit.TOKENS, f"{units.count(answered)} answers")
    if (mean := value("output_length", scene.now)) is not None:
        length = length._replace(exact=f"{int(mean):,}")
    found = told(scene, scene.now)
    names = f"under {len(found)} {'name' if len(found) == 1 else 'names'}" if found else "none told yet"
    counted = units.count(sum(own.times for own in found.values()))
    return [
        *(tile(scene, label, metric, unit, note) for metric, label, unit, note in labels),
        length,
        Tile("Scores", counted, note=names),
    ]


def answer(scene: Scene) -> tuple[str, str]:
    calls = scene.now
    if not calls:
        return "No call was made in this range.", ""
    good, of = checked(calls)
    cut, refused = value("truncation_rate", calls), value("refusal_rate", calls)
    assert of > 1
    said = (
        f"{units.ratio(ratio(good, of))} of {of} checked answers had the form asked for; of all calls "
        f"{units.ratio(cut)} were cut off, {units.ratio(refused)} refused."
    )
    own = wilson(good, of)
    assert own is not None
    detail = f"The true share of valid answers lies between {units.ratio(own[0])} and {units.ratio(own[1])}"
    good_before, of_before = checked(scene.before or [])
    if of_before == 0:
        return said, f"{detail}."
    other = wilson(good_before, of_before)
    assert other is not None
    chance = "a difference that may be chance"
    if own[1] < other[0] or own[0] > other[1]:
        chance = "so it is worse" if own[1] < other[0] else "so it is better"
    was = f"{units.ratio(ratio(good_before, of_before))} of {of_before}"
    return said, f"{detail}; {scene.asked.compared_with} it was {was}, {chance}."


PANELS: Mapping[str, Callable[[Scene], File]] = {
    "valid": valid,
    "trouble": trouble,
    "versions": versions,
    "length": length,
    "score": score,
    "scores": scores,
    "score-versions": by_version,
    "samples": samples,
}


# --- in words


def said_of_versions(scene: Scene) -> str:
    """Each version is held against the one of its prompt of which most answers were checked."""
    rows = versions(scene).rows
    if not rows:
        return "No call was made in this range."
    worse = []
    for kind, version, *_ in rows:
        own = [call for call in scene.now if (call.prompt_type, call.prompt_version) == (kind, version)]
        others = group([call for call in scene.now if call.prompt_type == kind], lambda call: call.prompt_version)
        most = max(others, key=lambda name: checked(others[name])[1])
        interval, other = wilson(*checked(own)), wilson(*checked(others[most]))
        if interval is not None and other is not None and interval[1] < other[0]:
            worse.append(f"{kind} {version} is worse than {most}")
    if worse:
        return f"{'; '.join(worse[:2])}: the intervals do not touch."
    if not any(row[3] for row in rows):
        return "No answer was checked for its form, so versions differ in what was refused or cut off."
    return "No version is clearly worse than the one of its prompt that was checked most."


def said_of_length(scene: Scene) -> str:
    now, before = value("output_length", scene.now), scene.before
    if now is None:
        return "No call was answered in this range."
    text = f"An answer has {units.tokens(now)} tokens on average"
    if before is None:
        return f"{text}."
    earlier, sample = oracle.measure("output_length", before)
    if earlier is None:
        return f"{text}; nothing to compare with."
    fewest = min(sample, oracle.measure("output_length", scene.now)[1])
    change = units.delta(now, earlier, Unit.TOKENS, events=fewest)
    return f"{text}, {change} against {scene.asked.compared_with} ({units.tokens(earlier)})."


def said_of_score(scene: Scene) -> str:
    name = main_score(scene)
    if name is None:
        return "No number was told of an answer in this range."
    own = told(scene, scene.now)[name]
    number = f"{len(own.numbers)} {'number' if len(own.numbers) == 1 else 'numbers'}"
    return f"{name}: {units.scalar(own.mean)} on average of {number}, at the times of the calls."


def said_of_scores(scene: Scene) -> str:
    found = told(scene, scene.now)
    if not found:
        return "Nobody has told what they thought of an answer in this range."
    name, own = next(iter(found.items()))
    how = f"{units.scalar(own.mean)} on average" if own.numbers else most_told(own)
    return f"{name}: {how}, told {own.times} {'time' if own.times == 1 else 'times'}."


def said_by_version(scene: Scene) -> str:
    rows = by_version(scene).rows
    if not rows:
        return "There are no scores in this range."
    prompts = len({row[1:3] for row in rows if isinstance(row, tuple)})
    shown = "; shown are the 8 told most, the file has all" if len(rows) > 8 else ""
    return f"{prompts} prompt {'version' if prompts == 1 else 'versions'} with scores{shown}."


def said_of_samples(scene: Scene) -> str:
    rows = samples(scene).rows
    bad = sum(1 for row in rows if row[3] is None)
    if not rows:
        return "No answer failed for what it was, and no score is low."
    failed = f"The newest {bad} invalid, cut off or refused answers" if bad else ""
    low = "the lowest numbers under each score" if len(rows) > bad else ""
    text = " and ".join(part for part in (failed, low) if part)
    return f"{text[0].upper()}{text[1:]}."


SENTENCES: Mapping[str, Callable[[Scene], str]] = {
    "valid": lambda scene: rates(
        scene,
        ["valid_rate"],
        "{0} of the checked answers had the form asked for.",
        unknown="No answer was checked for its form in this range.",
    ),
    "trouble": lambda scene: rates(
        scene,
        ("repair_rate", "refusal_rate", "truncation_rate"),
        "{0} of calls had to ask again, {1} were refused, {2} were cut off.",
        "No answer was repaired, refused or cut off in this range.",
    ),
    "versions": said_of_versions,
    "length": said_of_length,
    "score": said_of_score,
    "scores": said_of_scores,
    "score-versions": said_by_version,
    "samples": said_of_samples,
}
