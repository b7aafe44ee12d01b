"""Errors: what fails, and does trying again help?"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from dashboard.errors.remedies import remedy
from metrics import units
from metrics.units import Unit
from metrics.windows import Window
from tests.dashboard.oracle.asked import (
    NONE,
    OTHER,
    File,
    Scene,
    Tile,
    cuts,
    group,
    named,
    over_time,
    rates,
    spoken,
    tile,
    total,
    value,
)
from tests.dashboard.oracle.world import CHANGES, CLIENTS, DAY, MESSAGES, MINUTE, TEMPLATES, WEEK, Change
from tests.metrics import oracle
from tests.metrics.oracle import Call, ratio

RETRY_HELPS = {"yes", "once", "after the wait", "one repair", "before the first words"}


def failed(calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if call.outcome in ("error", "rejected")]


def types(scene: Scene) -> list[tuple[str, list[Call]]]:
    """Failed calls by type, the most frequent first."""
    found = named(failed(scene.now), "error")
    return sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))


def over(scene: Scene) -> File:
    """Four types, and the others together when there are more than one."""
    layers = types(scene)
    if len(layers) > 5:
        layers = [*layers[:4], (OTHER, [call for _, calls in layers[4:] for call in calls])]
    rows = []
    for cut, inside in cuts(scene.asked.window, scene.asked.step, failed(scene.now)) if layers else ():
        names = [{call.id for call in calls} for _, calls in layers]
        rows.append((cut.start, *(over_time("errors", [one for one in inside if one.id in own], cut) for own in names)))
    return File(["Time (UTC)", *(spoken(name) for name, _ in layers)], rows)


def remedies(scene: Scene) -> File:
    """What to do stands in a table of words; the numbers are here."""
    whole = len(failed(scene.now))
    rows = [
        (name, len(calls), ratio(len(calls), whole), remedy(name).retry, remedy(name).action)
        for name, calls in types(scene)
    ]
    return File(["Type", "Calls", "Share", "Does a retry help?", "What to do"], rows)


def matrix(scene: Scene) -> File:
    counted = group(failed(scene.now), lambda call: (call.error, call.feature or NONE))
    rows = sorted(((*names, len(calls)) for names, calls in counted.items()), key=lambda row: (-row[2], row[:2]))
    return File(["Type", "Feature", "Calls"], rows)


class Alike(NamedTuple):
    """What failures that look alike have in common."""

    template: str
    error: str
    prompt_type: str
    prompt_version: str


def _alike(call: Call) -> Alike:
    """A message is one of those of the world, with numbers in it."""
    template = next(
        template
        for message, template in zip(MESSAGES, TEMPLATES, strict=True)
        if any(message.format(n=n) == call.message for n in range(1, 90))
    )
    return Alike(template, call.error, call.prompt_type, call.prompt_version)


def groups(scene: Scene) -> File:
    """Exact over the whole range; new are those not seen in the week before it, counted from a whole hour."""
    window = scene.asked.window
    since = window.start - WEEK
    before = Window(since.replace(minute=0), window.start)
    earlier = group(failed(scene.pick(before)), _alike)
    passed = scene.asked.elapsed
    loud_from = passed.end - (passed.end - passed.start) / 4
    rows = []
    for alike, calls in group(failed(scene.now), _alike).items():
        last = max(calls, key=lambda call: UUID(call.id))
        first = min(call.at for call in (*calls, *earlier.get(alike, [])))
        state = "new" if alike not in earlier else "ongoing" if last.at >= loud_from else "quiet"
        users = len({call.user_id for call in calls if call.user_id})
        rows.append((*alike, state, len(calls), users, first, last.at, last.id))
    rows.sort(key=lambda row: (-row[5], -UUID(row[9]).int))
    # The users of the twelve largest are counted, those of the others are not known, unless single calls were read.
    is_rolled_up = set(scene.asked.filters) <= {"environment", "error", "prompt_type", "prompt_version"}
    shown = [(*row[:6], None if place >= 12 else row[6], *row[7:]) for place, row in enumerate(rows)]
    assert is_rolled_up or all(row[5] < 1_000 for row in rows)
    labels = ["Message", "Type", "Prompt type", "Prompt version", "State", "Calls", "Users"]
    return File([*labels, "First seen (UTC)", "Last seen (UTC)", "Last call"], shown)


WORDS = {
    "failure_share": "too many of them failed",
    "shared": "another client has stopped them",
    "rate_limit": "Claude turned them away: rate limit",
    "overloaded": "Claude is overloaded",
    "": "",
}


class Held(NamedTuple):
    """One client's breaker, open or half open."""

    start: datetime
    end: datetime
    state: str
    client: int
    reason: str


def _held(changes: Sequence[Change], window: Window) -> list[Held]:
    """What a client held back of a group in a window: until its next change, or two minutes after it fell silent."""
    seen = CLIENTS[changes[0].client].last
    ends = [*(change.at for change in changes[1:]), max(min(seen + 2 * MINUTE, window.end), changes[-1].at)]
    states = [
        Held(window.start, changes[0].at, changes[0].before, changes[0].client, ""),
        *(
            Held(change.at, end, change.after, change.client, change.reason)
            for change, end in zip(changes, ends, strict=True)
        ),
    ]
    cut = [one._replace(start=max(one.start, window.start), end=min(one.end, window.end)) for one in states]
    return [one for one in cut if one.state != "closed" and one.start < one.end]


def breakers(scene: Scene) -> File:
    """Times in which a group was not closed at some client, the newest first. They know no filter."""
    labels = ["Models", "From (UTC)", "To (UTC)", "Held back", "Tries", "Clients", "Why"]
    window = scene.asked.elapsed
    told = [one for one in CHANGES if window.start - DAY <= one.at < window.end] if scene.is_library else []
    rows: list[tuple[object, ...]] = []
    by_group: dict[str, list[Held]] = {}
    for of, own in group_changes(told).items():
        by_group.setdefault(of[0], []).extend(_held(own, window))
    for name, held in sorted(by_group.items()):
        held.sort()
        together: list[list[Held]] = []
        for one in held:
            if together and one.start <= max(each.end for each in together[-1]):
                together[-1].append(one)
            else:
                together.append([one])
        for episode in together:
            start, end = episode[0].start, max(one.end for one in episode)
            reason = next((one.reason for one in episode if one.state == "open" and one.reason), "")
            tries = sum(1 for one in episode if one.state == "half_open")
            clients = len({one.client for one in episode})
            is_over = end < window.end
            milliseconds = (end - start) // timedelta(milliseconds=1)
            rows.append((name, start, end if is_over else None, milliseconds, tries, clients, WORDS[reason]))
    rows.sort(key=lambda row: str(row[1]), reverse=True)
    return File(labels, rows)


def group_changes(changes: Sequence[Change]) -> dict[tuple[str, int], list[Change]]:
    found: dict[tuple[str, int], list[Change]] = {}
    for change in sorted(changes, key=lambda one: one.at):
        found.setdefault((change.group, change.client), []).append(change)
    return found


def tiles(scene: Scene) -> list[Tile]:
    calls, attempts = len(scene.now), total("attempts", scene.now)
    per_call = f"{ratio(attempts, calls):.2f} attempts per call" if attempts else ""
    notes = (
        ("error_rate", "Error rate", "of calls in the end"),
        ("errors", "Failed calls", f"of {units.count(calls)} calls"),
        ("attempt_error_rate", "Failed attempts", f"of {units.count(attempts)} attempts"),
        ("retry_rate", "Retried", per_call),
        ("fallback_rate", "Fallback", "a stand-in took over"),
        ("degraded_rate", "Degraded", "not the model asked for"),
    )
    return [
        tile(scene, label, metric, Unit.COUNT if metric == "errors" else Unit.RATIO, note)
        for metric, label, note in notes
    ]


def answer(scene: Scene) -> tuple[str, str]:
    calls, found = scene.now, types(scene)
    if not calls:
        return "No call was made in this range.", ""
    rate, finished = oracle.measure("error_rate", calls)
    errors = len(failed(calls))
    name, own = found[0]
    # Of few calls a share says little.
    how_many = f"{units.ratio(rate)} of calls" if finished >= 30 else f"{errors} {'call' if errors == 1 else 'calls'}"
    leads = f"{spoken(name)} leads ({units.ratio(ratio(len(own), errors))})"
    if len(own) == errors:
        leads = f"all of them {spoken(name)}"
    said = f"{how_many} failed; {leads}, {remedy(name).phrase}."
    detail = f"{units.count(errors)} of {units.count(finished)} calls"
    if scene.before and (earlier := value("error_rate", scene.before)) is not None:
        sample = oracle.measure("error_rate", scene.before)[1]
        change = units.delta(rate, earlier, Unit.RATIO, events=sample)
        detail += f", {change} against {scene.asked.compared_with} ({units.ratio(earlier)})"
    return said, f"{detail}."


def attempts(scene: Scene) -> File:
    return scene.course({"calls": "error_rate", "attempts": "attempt_error_rate"})


def retries(scene: Scene) -> File:
    return scene.course({"retried": "retry_rate", "fallback": "fallback_rate", "degraded": "degraded_rate"})


PANELS: Mapping[str, Callable[[Scene], File]] = {
    "errors": over,
    "attempts": attempts,
    "types": remedies,
    "groups": groups,
    "matrix": matrix,
    "retries": retries,
    "breakers": breakers,
}


# --- in words

CALM = "No call failed in this range."


def said_over_time(scene: Scene) -> str:
    found = types(scene)
    if not found:
        return CALM
    whole, (name, own) = sum(len(calls) for _, calls in found), found[0]
    if len(found) == 1:
        return f"{units.count(whole)} in total, all of it {spoken(name)}."
    share = units.ratio(ratio(len(own), whole))
    return f"{units.count(whole)} in total of {len(found)} types; {spoken(name)} has the largest share, {share}."


def said_of_remedies(scene: Scene) -> str:
    found = failed(scene.now)
    if not found:
        return CALM
    cured = sum(1 for call in found if remedy(call.error).retry in RETRY_HELPS)
    share = units.ratio(ratio(cured, len(found)))
    text = f"Of {units.count(len(found))} failed calls, {share} are of types that pass when tried again"
    return f"{text}, at once or after a wait."


def said_of_groups(scene: Scene) -> str:
    rows = groups(scene).rows
    if not rows:
        return CALM
    new = sum(1 for row in rows if row[4] == "new")
    told = "none" if new == 0 else "all" if new == len(rows) else units.count(new)
    kinds = f"{len(rows)} {'group' if len(rows) == 1 else 'groups'}"
    text = f"{kinds}, {told} of them new: not among the failures of the week before."
    return f"{text} Shown are the 12 largest; the file has all." if len(rows) > 12 else text


def said_of_matrix(scene: Scene) -> str:
    rows = matrix(scene).rows
    if not rows:
        return CALM
    whole, most = sum(int(str(row[2])) for row in rows), max(int(str(row[2])) for row in rows)
    # Of pairs that fail equally often the last of the alphabet is named.
    error, feature = max((str(row[0]), str(row[1])) for row in rows if row[2] == most)
    rest = len({row[0] for row in rows}) - 8
    also = f"; the file has {rest} more types" if rest > 0 else ""
    return f"Most often {spoken(error)} in {spoken(feature)}: {units.count(most)} of {units.count(whole)}{also}."


def said_of_breakers(scene: Scene) -> str:
    rows = breakers(scene).rows
    if not rows:
        return "Every breaker was closed all the time: no client held calls back."
    held: dict[str, list[Sequence[object]]] = {}
    for row in rows:
        held.setdefault(str(row[0]), []).append(row)
    sums = {name: sum(int(str(row[3])) for row in own) for name, own in held.items()}
    name = min(sums, key=lambda one: (-sums[one], one))
    times = {1: "once", 2: "twice"}[len(held[name])]
    running = ", now too" if any(row[2] is None for row in held[name]) else ""
    text = f"Calls to {name} were held back longest: {units.duration(sums[name])}, {times}{running}."
    if scene.asked.filters:
        text += " Breakers know no filters: this is about the whole project."
    return text


SENTENCES: Mapping[str, Callable[[Scene], str]] = {
    "errors": said_over_time,
    "attempts": lambda scene: rates(
        scene,
        ("error_rate", "attempt_error_rate"),
        "{0} of calls failed in the end, {1} of attempts on the way.",
        "No attempt failed in this range.",
    ),
    "types": said_of_remedies,
    "groups": said_of_groups,
    "matrix": said_of_matrix,
    "retries": lambda scene: rates(
        scene,
        ("retry_rate", "fallback_rate", "degraded_rate"),
        "{0} of calls were retried; a stand-in took over {1}, and {2} were answered by another than asked for.",
        "No call was retried or given to a stand-in in this range.",
    ),
    "breakers": said_of_breakers,
}
