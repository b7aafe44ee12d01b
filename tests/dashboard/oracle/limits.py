"""Limits: which is nearest, how long until it is full, and are calls turned away now?"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import combinations
from math import ceil
from statistics import median
from typing import NamedTuple

from metrics import units
from metrics.windows import Window
from tests.dashboard.oracle.asked import File, Scene, Tile, cuts, total
from tests.dashboard.oracle.budgets import MONTH, budgets
from tests.dashboard.oracle.world import BY_API, CLIENTS, GUARDS, HOUR, MINUTE, NOW, at
from tests.metrics.oracle import Call, ratio

SPACE = units.SPACE
MILLIONTHS = 1_000_000
KEPT_FROM = at("2026-11-14")
"""Eight days are kept by the minute."""
LIMITERS = ("requests", "input", "output")
NAMES = {"requests": "requests", "input": "input tokens", "output": "output tokens"}
REFUSED = {
    "rate_limit": "rate limit",
    "ramp_limit": "ramp limit",
    "spend_limit": "spend limit",
    "local_rate_limited": "own limiter",
}
BY_PROVIDER = tuple(REFUSED)[:3]


def pool_of(model: str) -> str:
    """Models of one line and generation share limits."""
    return "-".join(model.removeprefix("claude-").split("-")[:2])


def spoken(pool: str) -> str:
    text = pool.replace("-", " ")
    return text[0].upper() + text[1:]


class Told(NamedTuple):
    """A limit, when it was told, by whom, and what was left of it."""

    limit: int
    at: datetime
    by: str
    left: int | None = None


class Share(NamedTuple):
    """How far a limit was used: by headers, and by what was counted."""

    told: Fraction | None = None
    counted: Fraction | None = None

    @property
    def larger(self) -> Fraction | None:
        return most([self.told, self.counted])


def most(values: Sequence[Fraction | None]) -> Fraction | None:
    return max((one for one in values if one is not None), default=None)


class Limit(NamedTuple):
    pool: str
    limiter: str
    told: Told
    minutes: list[Share]
    """The last hour, minute by minute."""
    series: list[Share]

    @property
    def name(self) -> str:
        return f"{spoken(self.pool)} {NAMES[self.limiter]}"

    @property
    def now(self) -> Share:
        """The fullest of the last five minutes."""
        last = self.minutes[-5:]
        return Share(most([one.told for one in last]), most([one.counted for one in last]))

    @property
    def peak(self) -> Fraction | None:
        return most([one.larger for one in self.minutes])

    def full_at(self, end: datetime) -> datetime | None:
        """When the last half hour, the running minute left out, reaches it if it goes on so."""
        finished = (self.minutes[:-1] if end.second else self.minutes)[-30:]
        points = [(place, float(one.larger)) for place, one in enumerate(finished) if one.larger is not None]
        pairs = list(combinations(points, 2))
        if len(points) < 10:
            return None
        score = sum((high > low) - (high < low) for (_, low), (_, high) in pairs)
        number = len(points)
        rise = median((high - low) / (later - earlier) for (earlier, low), (later, high) in pairs)
        if score <= 0 or rise <= 0 or score**2 < 9 * number * (number - 1) * (2 * number + 5) / 18:
            return None
        level = median(share - rise * place for place, share in points)
        left = (1 - level) / rise - len(finished)
        return None if left > 360 else end + ceil(max(left, 0.0)) * MINUTE


class Minute(NamedTuple):
    """What one pool did in one minute."""

    calls: list[Call]
    """Answered by models of the pool, or failed there."""

    def share(self, limiter: str, known: int | None) -> Share:
        headers = [_header(call, limiter) for call in self.calls if call.headers]
        told = max(((limit - left) * MILLIONTHS // limit for _, limit, left in headers), default=None)
        newest = max(headers, default=None)
        limit = newest[1] if newest else known
        counted = None if limit is None else Fraction(_used(self.calls, limiter) * MILLIONTHS // limit, MILLIONTHS)
        return Share(None if told is None else Fraction(told, MILLIONTHS), counted)


def _header(call: Call, limiter: str) -> tuple[datetime, int, int]:
    """When an answer began, the limit it told, and what was left."""
    place = 2 * LIMITERS.index(limiter)
    began = call.duration_ms if call.ttft_ms is None else call.ttft_ms
    return call.at + timedelta(milliseconds=began), call.headers[place], call.headers[place + 1]


def _used(calls: Sequence[Call], limiter: str) -> int:
    """Reading the cache is free, and an answer of our own cache uses nothing."""
    sent = [call for call in calls if call.attempts]
    if limiter == "requests":
        return sum(call.attempts for call in calls)
    if limiter == "output":
        return sum(call.tokens[1] for call in sent)
    return sum(call.tokens[0] + call.tokens[3] + call.tokens[4] for call in sent)


class Standing:
    """All that the page shows, at the end of the range or now."""

    def __init__(self, scene: Scene) -> None:
        self.scene, asked = scene, scene.asked
        self.end = asked.elapsed.end
        filters = {name: text for name, text in asked.filters.items() if name == "environment"}
        pool = asked.filters.get("model")
        self.calls = [
            call
            for call in scene.world.calls
            if call.project_id == scene.project.pk
            and all(getattr(call, name) == text for name, text in filters.items())
            and (pool is None or pool_of(pool) in (pool_of(call.model), pool_of(call.asked or call.model)))
        ]
        self.pool = None if pool is None else pool_of(pool)
        ceiling = self.end.replace(second=0) + (MINUTE if self.end.second else timedelta())
        self.hour = Window(ceiling - HOUR, ceiling)
        self.range = Window(min(max(asked.window.start, KEPT_FROM), self.end), self.end)
        self.limits = sorted(self._limits(), key=self._fullest_first)

    def _fullest_first(self, one: Limit) -> tuple[object, ...]:
        return -(one.now.larger or -1), -(one.peak or -1), one.pool, one.limiter

    def _limits(self) -> list[Limit]:
        pools = sorted({pool_of(call.model) for call in self.calls})
        found = []
        for pool in pools if self.pool is None else [self.pool]:
            own = [call for call in self.calls if pool_of(call.model) == pool]
            asked_for = [call for call in self.calls if pool_of(call.asked or call.model) == pool and refusals(call)]
            is_seen = any(self.hour.contains(call.at) or self.range.contains(call.at) for call in (*own, *asked_for))
            for limiter in LIMITERS:
                told = self._told(pool, limiter, own)
                if told is not None and is_seen:
                    found.append(self._limit(pool, limiter, told, own))
        return found

    def _told(self, pool: str, limiter: str, own: Sequence[Call]) -> Told | None:
        """The newest word: of the newest minute that has any, or of the Rate Limits API."""
        since = min(KEPT_FROM, self.end)
        headers = [call for call in own if call.headers and since <= _minute(call) < self.end]
        said = []
        if headers:
            newest = max(map(_minute, headers))
            when, limit, left = max(_header(call, limiter) for call in headers if _minute(call) == newest)
            said.append(Told(limit, when, "answers", left))
        said += [
            Told(limit, when, "Rate Limits API") for of, what, limit, when in BY_API if (of, what) == (pool, limiter)
        ]
        return max(said, key=lambda one: one.at, default=None)

    def _limit(self, pool: str, limiter: str, told: Told, own: Sequence[Call]) -> Limit:
        asked = self.scene.asked
        known = Window(min(KEPT_FROM, self.end), self.end)
        # A bucket that only had refusals used nothing of its own; nobody tells it from one without any call.
        seen = [call for call in own if self.range.contains(_minute(call))]

        def shares(window: Window, step: timedelta, calls: Sequence[Call]) -> list[Share]:
            found = []
            for cut, inside in cuts(window, step, calls):
                by_minute = [Minute(each) for _, each in cuts(cut, MINUTE, inside) if each]
                measured = [one.share(limiter, told.limit) for one in by_minute]
                if measured:
                    found.append(Share(most([one.told for one in measured]), most([one.counted for one in measured])))
                else:
                    is_known = known.start < cut.end and cut.start < known.end
                    found.append(Share(counted=Fraction(0)) if is_known else Share())
            return found

        hour = [call for call in own if self.hour.contains(call.at)]
        return Limit(pool, limiter, told, shares(self.hour, MINUTE, hour), shares(asked.window, asked.step, seen))

    def refused(self, window: Window, pool: str | None = None) -> dict[str, int]:
        """Attempts that were refused in a window, by kind; they count for the model that was asked for."""
        found = dict.fromkeys(REFUSED, 0)
        for call in self.calls:
            of = pool_of(call.asked or call.model)
            if window.contains(_minute(call)) and pool in (None, of) and self.pool in (None, of):
                for kind, number in refusals(call).items():
                    found[kind] += number
        return found

    @property
    def waits(self) -> list[int]:
        found = [call for call in self.calls if self.range.contains(_minute(call)) and self._is_own(call)]
        return [call.queue_ms for call in found if call.queue_ms]

    def _is_own(self, call: Call) -> bool:
        return self.pool in (None, pool_of(call.model))


def _minute(call: Call) -> datetime:
    return call.at.replace(second=0, microsecond=0)


def refusals(call: Call) -> dict[str, int]:
    """Of the provider: attempts, one at least where the call ended so. Of our own limiter: the call."""
    found = {kind: max(call.tried.count(kind), int(call.error == kind)) for kind in BY_PROVIDER}
    found["local_rate_limited"] = int(call.error == "local_rate_limited")
    return {kind: number for kind, number in found.items() if number}


def decimal(share: Fraction | None) -> object:
    return None if share is None else ratio(share.numerator, share.denominator)


def headroom(scene: Scene) -> File:
    standing = Standing(scene)
    rows = []
    for one in standing.limits:
        refused = standing.refused(standing.range, one.pool)
        by_provider = sum(refused[kind] for kind in BY_PROVIDER)
        now = one.now
        shares = [decimal(share) for share in (now.larger, now.told, now.counted, one.peak)]
        told = (one.told.limit, one.told.left, one.told.at, one.told.by, one.full_at(standing.end))
        own = refused["local_rate_limited"]
        rows.append((spoken(one.pool), NAMES[one.limiter], *shares, *told, by_provider, own))
    labels = ["Models", "Limit of", "Now", "Now by headers", "Now counted", "Peak of the hour", "Limit a minute"]
    labels += ["Left when told", "Told at (UTC)", "Told by", "Full about (UTC)", "Refused by Claude"]
    return File([*labels, "Refused by our limiter"], rows)


def utilisation(scene: Scene) -> File:
    """Those that came nearest first."""
    limits = [one for one in Standing(scene).limits if any(share.larger is not None for share in one.series)]
    limits.sort(key=lambda one: -(most([share.larger for share in one.series]) or 0))
    starts = [cut.start for cut, _ in cuts(scene.asked.window, scene.asked.step, [])] if limits else []
    rows = [(start, *(decimal(one.series[place].larger) for one in limits)) for place, start in enumerate(starts)]
    return File(["Time (UTC)", *(one.name for one in limits)], rows)


def refused(scene: Scene) -> File:
    standing, rows = Standing(scene), []
    kept = Window(KEPT_FROM, max(standing.end, KEPT_FROM))
    for cut, _ in cuts(scene.asked.window, scene.asked.step, []):
        inside = Window(max(cut.start, standing.range.start), max(min(cut.end, standing.end), standing.range.start))
        is_known = kept.start < cut.end and cut.start < kept.end
        counts = standing.refused(inside) if inside.start <= inside.end else dict.fromkeys(REFUSED, 0)
        rows.append((cut.start, *(number if is_known else None for number in counts.values())))
    return File(["Time (UTC)", *REFUSED.values()], rows)


def spend(scene: Scene) -> File:
    environment = scene.asked.filters.get("environment", "")
    calls = [
        call
        for call in scene.world.calls
        if call.project_id == scene.project.pk and MONTH.contains(call.at) and environment in ("", call.environment)
    ]
    rows: list[tuple[object, ...]] = [("All spend since the month began", total("spend", calls), None, None, MONTH.end)]
    rows += [
        (one.name, one.known, one.amount, decimal(one.share), one.period.end) for one in budgets(scene, environment)
    ]
    return File(["Budget", "Spent", "Of", "Used", "Begins again (UTC)"], rows)


def capacity(scene: Scene) -> File:
    """What the processes say that spoke in the last two minutes, those with most calls waiting first."""
    labels = ["Models", "Processes", "Breaker stopped on", "Under way", "Waiting", "At once"]
    labels += [f"Left: {limiter}" for limiter in LIMITERS]
    rows: list[tuple[object, ...]] = []
    if scene.is_library and scene.asked.is_live:
        heard = [guards for guards, client in zip(GUARDS, CLIENTS, strict=True) if NOW - client.last <= 2 * MINUTE]
        for pool in {pool for guards in heard for pool in guards}:
            told = [guards[pool] for guards in heard if pool in guards]
            limiters = [one["limiter"] for one in told if "limiter" in one]
            numbers = []
            for what in ("in_flight", "waiting", "concurrency"):
                said = [one[what] for one in limiters if what in one]
                numbers.append(sum(said) if said else None)
            left = []
            for limiter in LIMITERS:
                buckets = [one["buckets"][limiter] for one in limiters if limiter in one["buckets"]]
                whole, rest = sum(one["limit"] for one in buckets), sum(max(one["level"], 0) for one in buckets)
                left.append(ratio(rest, whole))
            stopped = sum(1 for one in told if one["breaker"] != "closed")
            rows.append((spoken(pool), len(told), stopped, *numbers, *left))
    rows.sort(key=lambda row: (row[4] is None, -int(str(row[4] or 0)), row[0]))
    return File(labels, rows)


def tiles(scene: Scene) -> list[Tile]:
    standing = Standing(scene)
    counts, waits = standing.refused(standing.range), standing.waits
    by_provider, own = sum(counts[kind] for kind in BY_PROVIDER), counts["local_rate_limited"]
    nearest = Tile("Nearest limit", "–", note="nothing known just now")
    if standing.limits and standing.limits[0].now.larger is not None:
        first = standing.limits[0]
        nearest = Tile("Nearest limit", units.ratio(first.now.larger), change=first.name)
    full = [(when, one.name) for one in standing.limits if (when := one.full_at(standing.end)) is not None]
    filled = Tile("Full at this rate", "–", note="no limit rises towards its end")
    if full:
        filled = Tile("Full at this rate", f"{min(full)[0]:%H:%M} UTC", note=min(full)[1])
    waiting = Tile("Waiting now", "–", note="no process says")
    if scene.is_library and scene.asked.is_live:
        waiting = Tile(
            "Waiting now", str(sum(int(str(row[4] or 0)) for row in capacity(scene).rows)), note="in all processes"
        )
    average = Tile("Average wait", "–", note="no call waited in this range")
    if waits:
        note = f"of {units.count(len(waits))} that waited; longest {units.duration(max(waits))}"
        average = Tile("Average wait", units.duration(Fraction(sum(waits), len(waits))), note=note)
    return [
        nearest,
        filled,
        Tile("Refused by Claude", units.count(by_provider), note=_listed(counts) or "no 429 in this range"),
        Tile("Refused by our limiter", units.count(own), note="calls that were never sent"),
        waiting,
        average,
    ]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{units.count(counts[kind])} by the {REFUSED[kind]}" for kind in BY_PROVIDER if counts[kind])


def answer(scene: Scene) -> tuple[str, str]:
    standing = Standing(scene)
    range_ = standing.refused(standing.range)
    now = standing.refused(Window(standing.hour.end - 5 * MINUTE, standing.hour.end))
    just_now, in_range = (sum(counts[kind] for kind in BY_PROVIDER) for counts in (now, range_))
    last = "in the last 5 minutes" if scene.asked.is_live else "in the last 5 minutes of this range"
    if just_now:
        throttled = f"Claude refuses calls now: {just_now} {last} ({_listed(now)})."
    elif in_range:
        throttled = f"Claude refused nothing {last}, and {in_range} in this range."
    else:
        throttled = "Claude refused nothing in this range."
    if own := now["local_rate_limited"]:
        throttled += f" Our own limiter refused {own} {last}."
    if not standing.limits:
        detail = (
            "Calls through llmclient report the provider's headers by themselves; with ANTHROPIC_ADMIN_KEY set, the "
            "worker asks the Rate Limits API."
        )
        return "No limit seen yet: the first answered call tells its limits.", f"{detail} {throttled}"
    first = standing.limits[0]
    share = first.now.larger
    assert share is not None
    amount = units.count(first.told.limit) if first.limiter == "requests" else units.tokens(first.told.limit)
    amount = amount.replace(".00", "").replace(".0", "")
    said = f"{first.name} are nearest: {units.ratio(share)} of {amount} a minute"
    when = first.full_at(standing.end)
    if share >= 1:
        return f"{first.name} are used up: {units.ratio(share)} of {amount} a minute.", throttled
    if when is None:
        return f"{said}, with no rise that would fill it.", throttled
    return f"{said}, at this rate full at {when:%H:%M} UTC.", throttled


PANELS: Mapping[str, Callable[[Scene], File]] = {
    "headroom": headroom,
    "utilisation": utilisation,
    "refused": refused,
    "spend": spend,
    "capacity": capacity,
}


# --- in words


def said_of_headroom(scene: Scene) -> str:
    found = Standing(scene).limits
    if not found:
        return "No limit is known: the first answered call tells its limits."
    near = sum(1 for one in found if (one.now.larger or 0) >= Fraction(4, 5))
    text = f"{near} of {len(found)} limits above 80{SPACE}%" if near else f"No limit above 80{SPACE}%"
    bar = "The bar is the fullest of the last 5 minutes, its mark the peak of 60"
    return f"{text}. {bar}; reading the cache does not count as input."


def said_of_use(scene: Scene) -> str:
    rows, labels = utilisation(scene).rows, utilisation(scene).labels
    if not rows:
        return "No limit was told in this range, so there is no use to show."
    shares = [Fraction(str(row[1])) for row in rows if row[1] is not None]
    when = next(row[0] for row in rows if row[1] is not None and Fraction(str(row[1])) == max(shares))
    assert isinstance(when, datetime)
    clock = f"{when:%H:%M}" if when.date() == NOW.date() else f"{when:%-d %b %H:%M}"
    text = f"{labels[1]} came nearest: {units.ratio(max(shares))} in a minute, in the bucket of {clock} UTC."
    if scene.asked.window.start < KEPT_FROM:
        text = f"{text} Minutes are kept from 14 Nov on."
    return f"{text} The dashed lines are 80{SPACE}% and 100{SPACE}%."


def said_of_refused(scene: Scene) -> str:
    standing = Standing(scene)
    counts = standing.refused(standing.range)
    if not any(counts.values()):
        return "Neither Claude nor our own limiter refused a call in this range."
    kinds = [f"{units.count(counts[kind])} by the {words}" for kind, words in REFUSED.items() if counts[kind]]
    return f"Attempts that were refused, those tried again included: {', '.join(kinds)}."


def said_of_spend(scene: Scene) -> str:
    rows = spend(scene).rows
    environment = scene.asked.filters.get("environment", "")
    since = MONTH.start
    if scene.asked.elapsed.end < MONTH.start:
        since = at("2026-10-01")
    met = [
        call.at
        for call in scene.world.calls
        if call.project_id == scene.project.pk
        and since <= call.at
        and environment in ("", call.environment)
        and "spend_limit" in refusals(call)
    ]
    text = f"{units.money(int(str(rows[0][1])))} since 1 November"
    text = f"{text}." if len(rows) > 1 else f"{text}; there is no monthly budget yet."
    assert met
    last = max(met)
    # Beyond the minutes that are kept, only the hour is known.
    when = last.replace(second=0) if last >= KEPT_FROM else last.replace(minute=0, second=0)
    clock = f"{when:%H:%M}" if when.date() == NOW.date() else f"{when:%-d %b %H:%M}"
    limit = f"The provider's spend limit refused calls, last about {clock} UTC; it begins again on 1 December."
    return f"{text} {limit}"


def said_of_capacity(scene: Scene) -> str:
    waits = Standing(scene).waits
    waited = "No call waited for its turn in this range."
    if waits:
        average, longest = units.duration(Fraction(sum(waits), len(waits))), units.duration(max(waits))
        number = "1 call waited" if len(waits) == 1 else f"{units.count(len(waits))} calls waited"
        waited = f"In this range {number} for a turn, {average} on average, {longest} at most."
    if not scene.asked.is_live:
        return f"{waited} How processes stand is known only of now."
    heard = sum(1 for client in CLIENTS if NOW - client.last <= 2 * MINUTE) if scene.is_library else 0
    if not heard:
        return f"No process has spoken in the last two minutes. {waited}"
    waiting = sum(int(str(row[4] or 0)) for row in capacity(scene).rows)
    return f"{heard} processes spoke in the last two minutes; {waiting} calls wait now. {waited}"


SENTENCES: Mapping[str, Callable[[Scene], str]] = {
    "headroom": said_of_headroom,
    "utilisation": said_of_use,
    "refused": said_of_refused,
    "spend": said_of_spend,
    "capacity": said_of_capacity,
}
