"""Makes `llmclient/prices.json` from the server's price list: `python -m tests.client_prices`, see docs/prices.md.

Here, because only the tests may know both sides.
"""

import json
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent / "llmclient" / "prices.json"


def snapshot(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The rows of a price list as the client keeps them; the version is the day the newest row was verified."""
    found = list(rows)
    return {"version": f"{max(row['verified_at'] for row in found)}", "rates": [_rate(row) for row in found]}


def text_of(kept: Mapping[str, Any]) -> str:
    """One rate a line, so that a change of prices is a change of lines."""
    rates = ",\n".join(f"    {json.dumps(rate)}" for rate in kept["rates"])
    return f'{{\n  "version": {json.dumps(kept["version"])},\n  "rates": [\n{rates}\n  ]\n}}\n'


def _rate(row: Mapping[str, Any]) -> dict[str, Any]:
    until = row["effective_until"]
    columns = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
    long = row["long_threshold"] is not None
    return {
        "model": row["model"],
        "since": int(row["effective_from"].timestamp()),
        "until": None if until is None else int(until.timestamp()),
        "short": [row[column] for column in columns],
        "long": [row[f"long_{column}"] for column in columns] if long else None,
        "above": row["long_threshold"],
        "batch": _ratio(row["batch_multiplier"]),
        "fast": None if row["fast_multiplier"] is None else _ratio(row["fast_multiplier"]),
        "us": _ratio(row["us_multiplier"]),
        "search": row["web_search"],
    }


def _ratio(factor: Decimal) -> tuple[int, int]:
    return factor.as_integer_ratio()


def main() -> None:
    import django

    import tests.environment  # noqa: F401  # a home of its own, before Django reads its settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from ingest import pricelist

    FILE.write_text(text_of(snapshot(pricelist.read())), encoding="utf-8")


if __name__ == "__main__":
    main()
