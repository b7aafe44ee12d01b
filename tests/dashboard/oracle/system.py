"""System: can I trust these numbers? It is about now, whatever the address says."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from metrics import units
from tests.dashboard.oracle.asked import File, Scene, Tile, calls, named
from tests.dashboard.oracle.world import ASIDE, CLIENTS, DAY, HOUR, MINUTE, NOW, Client
from tests.metrics.oracle import Call, nearest_rank, ratio

SPACE = units.SPACE
LATE = 60_000
"""Milliseconds: what took longer to arrive was kept somewhere, and says nothing of the way here."""


def _mine(scene: Scene, since: timedelta) -> list[Call]:
    return [one for one in scene.world.calls if one.project_id == scene.project.pk and NOW - since <= one.at]


def received(scene: Scene) -> File:
    """Calls begun in the last hour, by the minute of their receipt."""
    first = (NOW - HOUR).replace(second=0) + MINUTE
    counts = [0] * 60
    for call in _mine(scene, HOUR):
        arrived = scene.world.received[call.id]
        if arrived >= first:
            counts[(arrived - first) // MINUTE] += 1
    return File(["Time (UTC)", "Received"], [(first + n * MINUTE, count) for n, count in enumerate(counts)])


def watermarks(scene: Scene) -> File:
    """Everything was counted in the end."""
    kept = {"Minutes": "3 days", "Hours": "396 days", "Days": "for ever", "Scores": "for ever"}
    return File(
        ["Totals by", "Complete to (UTC)", "Behind", "Kept"], [(name, NOW, 0, days) for name, days in kept.items()]
    )


def lags(scene: Scene) -> list[int]:
    """From the end of each call of the last hour to its receipt, in milliseconds."""
    millisecond = timedelta(milliseconds=1)
    return [(scene.world.received[one.id] - one.at) // millisecond - one.duration_ms for one in _mine(scene, HOUR)]


def delivery(scene: Scene) -> File:
    found = lags(scene)
    own = [lag for lag in found if lag <= LATE]
    p10 = nearest_rank(own, 10)
    ahead = -p10 if p10 is not None and p10 < -1_000 else None
    row = ("helpdesk", len(found), len(found) - len(own), nearest_rank(own, 50), nearest_rank(own, 95), ahead)
    labels = ["Application", "Calls", "Late", "Delay p50", "Delay p95", "Clock ahead by at least"]
    return File(labels, [row] if found else [])


def _clients(scene: Scene) -> list[tuple[int, Client]]:
    """Processes heard in the last hour, the last one first, with their numbers."""
    heard = [(number, client) for number, client in enumerate(CLIENTS) if NOW - client.last <= HOUR]
    return sorted(heard, key=lambda one: NOW - one[1].last) if scene.is_library else []


def clients(scene: Scene) -> File:
    labels = ["Process", "Client", "Started (UTC)", "Heard (UTC)", "Events made", "Events here", "Events on the way"]
    rows = []
    for number, one in _clients(scene):
        lost = sum(one.dropped.values())
        way = None if one.here is None else max(one.made - lost - one.here, 0)
        told = sorted(one.dropped.items(), key=lambda item: (len(item[0]), item[0]))
        reasons = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in told if count)
        rows.append((f"web-{number}", "anthropic/2.12.0", one.first, one.last, one.made, one.here, way, lost, reasons))
    return File([*labels, "Events given up", "Given up, by reason"], rows)


def given_up(scene: Scene) -> int:
    return sum(sum(client.dropped.values()) for _, client in _clients(scene))


def mails(scene: Scene) -> File:
    """No rule was ever broken."""
    rows = [("waiting", 0, None), ("sent in 7 days", 0, None), ("given up in 7 days", 0, None)]
    return File(["Mails", "Number", "Time (UTC)"], rows)


def aside(scene: Scene) -> File:
    reasons: dict[str, int] = {}
    for when, why in ASIDE if scene.is_library else ():
        if NOW - when <= DAY:
            reasons[why] = reasons.get(why, 0) + 1
    rows = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return File(["Put aside because", "Events in the last day"], rows)


def covered(scene: Scene) -> list[Call]:
    """Those of the last day, from a whole minute on."""
    since = (NOW - DAY).replace(second=0)
    return [call for call in _mine(scene, DAY + MINUTE) if call.at >= since]


def prices(scene: Scene) -> File:
    rows = [
        (model, len(own), sum(1 for call in own if call.cost is None))
        for model, own in named(covered(scene), "model").items()
    ]
    rows.sort(key=lambda row: (-row[2], -row[1], row[0]))
    return File(["Model", "Calls", "Calls without a known cost"], rows)


def tiles(scene: Scene) -> list[Tile]:
    """All but the disk."""
    # The minute that is running is not over.
    rate = sum(int(str(row[1])) for row in received(scene).rows[-6:-1]) // 5
    found = covered(scene)
    known = ratio(sum(1 for call in found if call.cost is not None), len(found))
    own = [lag for lag in lags(scene) if lag <= LATE]
    heard = len(_clients(scene))
    lost = Tile("Given up", "–", against="no client was heard")
    if heard:
        lost = Tile("Given up", str(given_up(scene)), against=f"events, by {heard} clients")
    return [
        Tile("Complete to", "10:07:23", against="UTC, up to date"),
        Tile("Received", units.count(rate), against="calls a minute"),
        Tile("p95 delay", units.duration(nearest_rank(own, 95)), against="from a call's end to here"),
        lost,
        Tile("Cost known", units.ratio(known), against="of the calls of a day"),
    ]


PANELS: Mapping[str, Callable[[Scene], File]] = {
    "received": received,
    "watermarks": watermarks,
    "delivery": delivery,
    "clients": clients,
    "mails": mails,
    "aside": aside,
    "prices": prices,
}


# --- in words


def said_of_received(scene: Scene) -> str:
    counts = [int(str(row[1])) for row in received(scene).rows]
    return f"{units.count(sum(counts[-6:-1]) // 5)} calls a minute in the last five."


def said_of_delivery(scene: Scene) -> str:
    found = lags(scene)
    own = [lag for lag in found if lag <= LATE]
    half, most = (units.duration(nearest_rank(own, percent)) for percent in (50, 95))
    text = f"Half of the calls of the last hour were here {half} after they ended, 95 of 100 after {most}."
    late = calls(len(found) - len(own))
    return f"{text} {late} came more than 1{SPACE}min late, from a spool or a file, and are left out."


def said_of_clients(scene: Scene) -> str:
    heard = _clients(scene)
    if not heard:
        return f"No process was heard in the last 1{SPACE}h; whether calls get lost cannot be told."
    reasons: dict[str, int] = {}
    for _, client in heard:
        for reason, lost in client.dropped.items():
            reasons[reason] = reasons.get(reason, 0) + lost
    listed = sorted(((reason, lost) for reason, lost in reasons.items() if lost), key=lambda one: (-one[1], one[0]))
    told = ", ".join(f"{reason.replace('_', ' ')} {lost}" for reason, lost in listed)
    text = f"{len(heard)} processes were heard in the last 1{SPACE}h."
    return f"{text} They gave up {calls(given_up(scene))} since they started: {told}."


def said_of_aside(scene: Scene) -> str:
    whole = sum(int(str(row[1])) for row in aside(scene).rows)
    text = "Every event of the last day had a time that is kept."
    if whole:
        text = f"{calls(whole)} {'was' if whole == 1 else 'were'} put aside."
    return f"{text} What is refused is told to its client, which counts it under “rejected”."


def said_of_prices(scene: Scene) -> str:
    found = covered(scene)
    unknown = sum(1 for call in found if call.cost is None)
    text = f"{calls(unknown)} of {units.count(len(found))} in the last day have no known cost"
    return f"{text}: their model has no price, or the answer broke off."


SENTENCES: Mapping[str, Callable[[Scene], str]] = {
    "received": said_of_received,
    "watermarks": lambda _: "Every call that was received is in the totals.",
    "delivery": said_of_delivery,
    "clients": said_of_clients,
    "mails": lambda _: "No mail is waiting.",
    "aside": said_of_aside,
    "prices": said_of_prices,
}
