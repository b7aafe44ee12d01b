"""Faults by name, for the command line: which there are, and how often each strikes."""

import random
from collections.abc import Mapping
from typing import Final

from llmclient.testing._answers import (
    Answer,
    Burst,
    broken,
    burst,
    cut_short,
    fail,
    hang_up,
    invalid_json,
    overloaded,
    own_spend_limit,
    ramp_limited,
    rate_limited,
    refused,
    slow,
    slow_headers,
    spend_limit,
    stalled,
    trickled,
)
from llmclient.testing._requests import Request

FAULTS: Final[Mapping[str, Answer]] = {
    "rate_limited": rate_limited(1.0),
    "rate_limited_bare": rate_limited(),
    "ramp_limited": ramp_limited(5.0),
    "spend_limit": spend_limit(),
    "own_spend_limit": own_spend_limit(),
    "overloaded": overloaded(),
    "server_error": fail(500),
    "timeout": fail(504, delay=8.0),
    "hang_up": hang_up(),
    "slow": slow(10.0),
    "slow_headers": slow_headers(10.0),
    "trickled": trickled(0.01),
    "stalled": stalled(60.0, after=1),
    "silent": stalled(60.0, after=1, ping_every=None),
    "error_event": broken("error"),
    "eof": broken("eof"),
    "reset": broken("reset"),
    "malformed": broken("malformed"),
    "refused": refused(),
    "cut_short": cut_short(),
    "invalid_json": invalid_json(),
}


class Chances:
    """A script by which each fault strikes its share of the messages, drawn from the seed."""

    def __init__(self, shares: Mapping[str, float], seed: int) -> None:
        """Raises ValueError for a fault there is not, and for shares that are more than everything."""
        for name in shares:
            _fault(name)
        if sum(shares.values()) > 1:
            raise ValueError("the shares of all faults add up to more than 1")
        self._shares, self._seed = dict(shares), seed

    def __call__(self, request: Request) -> Answer | None:
        dice = random.Random(f"{self._seed}:fault:{request.number}{request.custom_id or ''}")  # noqa: S311  no secret
        roll = dice.random()
        for name, share in self._shares.items():
            if roll < share:
                return FAULTS[name]
            roll -= share
        return None


def read_share(text: str) -> tuple[str, float]:
    """`overloaded=0.02`, or `overloaded` for always. Raises ValueError."""
    name, _, share = text.partition("=")
    _fault(name)
    return name, _share(share or "1", text)


def read_burst(text: str) -> Burst:
    """`AFTER:LASTING[:FAULT[:SHARE]]`, seconds; 529s unless told otherwise. Raises ValueError."""
    after, lasting, name, share = (*text.split(":"), "", "", "")[:4]
    if not lasting or text.count(":") > 3:
        raise ValueError(f"{text!r} is not AFTER:LASTING[:FAULT[:SHARE]]")
    return burst(float(after), float(lasting), answer=_fault(name or "overloaded"), share=_share(share or "1", text))


def _fault(name: str) -> Answer:
    if name not in FAULTS:
        raise ValueError(f"{name!r} is not one of {', '.join(FAULTS)}")
    return FAULTS[name]


def _share(text: str, whole: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise ValueError(f"{whole!r}: a share is above 0 and at most 1")
    return share
