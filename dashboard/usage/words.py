"""How sentences about money tell growth."""

from dashboard.query import DashboardQuery
from metrics import units
from metrics.readings import Reading, Value
from metrics.units import Unit


def growth(query: DashboardQuery, now: Value, before: Reading | None) -> str:
    """Say how a sum of money stands against the comparison: "up 27 % on last week"; empty when that is not known."""
    if now is None or before is None or before.value is None:
        return ""
    if before.value == 0:
        # Nothing was spent then, or nobody knows how much.
        return f"new since {query.compared_with}" if before.unpriced == 0 and now > 0 else ""
    if now == before.value:
        return f"as much as {query.compared_with}"
    if before.sample < units.ENOUGH_EVENTS:
        return f"against {units.money(before.value)} {query.compared_with}"
    percent = units.delta(now, before.value, Unit.NANOUSD, events=before.sample).lstrip("+" + units.MINUS)
    return f"{'up' if now > before.value else 'down'} {percent} on {query.compared_with}"


def calls(number: int | None) -> str:
    """Return "1 call", "41,207 calls"."""
    return f"{units.count(number)} {'call' if number == 1 else 'calls'}"


def article(noun: str) -> str:
    """Return the noun with its article: "a user", "an API key"."""
    return f"{'an' if noun[0] in 'aeioAEIO' else 'a'} {noun}"
