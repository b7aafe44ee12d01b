"""The headline numbers of Usage & cost."""

from django.utils.safestring import SafeString

from dashboard.look import Look
from dashboard.sparkline import sparkline
from dashboard.tiles import Tile, all_digits, finished, month_tile, with_change
from dashboard.usage.readings import UsageReadings
from dashboard.usage.words import calls
from metrics import units
from metrics.catalog import METRICS


def tiles(look: Look) -> list[Tile]:
    """Return spend, the month, cost per call and per answer, fully loaded cost, and cache hits."""
    return [
        _tile(look, "spend", _of_spend(look)),
        month_tile(look),
        _tile(look, "cost_per_request"),
        _tile(look, "cost_per_success"),
        _tile(look, "fully_loaded_cost", _of_load(look)),
        _tile(look, "cache_hit_rate"),
    ]


def _of_spend(look: Look) -> str:
    """Say what the spend leaves out, and that it goes on growing."""
    unpriced = int(UsageReadings(look).total["unpriced"].value or 0)
    if unpriced > 0:
        return f"without {calls(unpriced)} of unknown cost"
    return "so far" if not look.query.is_live and look.window.end > look.now else ""


def _spark(look: Look, key: str, label: str) -> SafeString | None:
    """Draw what has a course of its own: cost per answer and fully loaded cost go with the two beside them."""
    series = UsageReadings(look).timeline.get(key)
    return None if series is None else sparkline(finished(look, series.values), f"{label} over the range")


def _of_load(look: Look) -> str:
    """Say when there is nothing beside the spend yet."""
    project = look.query.project
    has_rates = project is not None and (project.infra_nanousd_per_request or project.infra_nanousd_per_token)
    return "" if has_rates else "no infrastructure rates yet"


def _tile(look: Look, key: str, note: str = "") -> Tile:
    read, metric = UsageReadings(look), METRICS[key]
    reading = read.total[key]
    return with_change(
        look,
        Tile(
            metric.label,
            units.number(reading.value, metric.unit),
            exact=all_digits(key, reading) if key in ("spend", "fully_loaded_cost") else "",
            spark=_spark(look, key, metric.label),
            note=note,
        ),
        reading,
        read.earlier_total.get(key),
        metric.unit,
        # More money is neither good nor bad by itself; more of it for the same is.
        better="" if key in ("spend", "fully_loaded_cost") else metric.better,
    )
