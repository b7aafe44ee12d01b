"""Ranks: percentiles of a histogram in SQL, the same when a bucket is written and when buckets are merged for reading.

Both go through rows of (place, up_to_here, in_all): the calls up to and in a place, and those of the whole histogram.
"""

from typing import Final

from ingest.histogram import UPPER_MS, middle_of

# The latency in ms that stands for each place; indexed from 1.
_MIDDLES: Final = f"'{{{','.join(str(middle_of(place)) for place in range(len(UPPER_MS)))}}}'::int[]"


def percentile(percent: int, *, also: str = "TRUE") -> str:
    """Return the nearest rank: the first place that at least that share of the calls does not exceed, in ms."""
    return f"({_MIDDLES})[1 + min(place) FILTER (WHERE {also} AND up_to_here * 100 >= in_all * {percent})]"


def cumulated(of: str) -> str:
    """Return the two columns besides `place`, for histograms told apart by the columns `of`."""
    return (
        f"sum(calls) OVER (PARTITION BY {of} ORDER BY place) AS up_to_here,"
        f" sum(calls) OVER (PARTITION BY {of}) AS in_all"
    )
