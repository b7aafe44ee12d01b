"""Faults by name, and how often they strike."""

import pytest

from llmclient.testing import Burst, Request, burst, overloaded, rate_limited
from llmclient.testing._menu import FAULTS, Chances, read_burst, read_share


def struck(chances: Chances) -> dict[str, int]:
    names = {id(answer): name for name, answer in FAULTS.items()}
    found: dict[str, int] = {}
    for number in range(2_000):
        answer = chances(Request("POST", "/v1/messages", {}, number=number))
        if answer is not None:
            found[names[id(answer)]] = found.get(names[id(answer)], 0) + 1
    return found


def test_each_fault_strikes_its_share_and_the_same_messages_every_time() -> None:
    shares = {"overloaded": 0.1, "eof": 0.02}
    found = struck(Chances(shares, seed=1))
    assert set(found) == {"overloaded", "eof"}
    assert 150 <= found["overloaded"] <= 250
    assert 20 <= found["eof"] <= 65
    assert found == struck(Chances(shares, seed=1)) != struck(Chances(shares, seed=2))


def test_shares_of_more_than_everything_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        Chances({"slow": 0.6, "eof": 0.6}, seed=0)
    with pytest.raises(ValueError, match="'fire' is not one of"):
        Chances({"fire": 0.1}, seed=0)


@pytest.mark.parametrize(
    ("text", "read"),
    [("overloaded=0.02", ("overloaded", 0.02)), ("reset", ("reset", 1.0))],
)
def test_a_share_is_read(text: str, read: tuple[str, float]) -> None:
    assert read_share(text) == read


@pytest.mark.parametrize("text", ["fire", "slow=0", "slow=1.1", "slow=often"])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not one of|a share is above 0|could not convert"):
        read_share(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("30:10", burst(30, 10)),
        ("0:5:rate_limited", burst(0, 5, answer=rate_limited(1.0))),
        ("1.5:2:overloaded:0.5", Burst(overloaded(), 1.5, 2.0, 0.5)),
    ],
)
def test_a_burst_is_read(text: str, read: Burst) -> None:
    assert read_burst(text) == read


@pytest.mark.parametrize("text", ["30", "30:", "30:10:fire", "a:b", "1:2:slow:0.1:5"])
def test_a_burst_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not AFTER:LASTING|is not one of|could not convert"):
        read_burst(text)
