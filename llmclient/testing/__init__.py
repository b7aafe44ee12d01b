"""Everything needed to test an application that calls Claude: a fake API on a real socket, scripted answers."""

from llmclient.testing._answers import (
    Answer,
    Break,
    Failure,
    HangUp,
    Reply,
    broken,
    fail,
    hang_up,
    own_spend_limit,
    reply,
    slow,
    spend_limit,
    stalled,
)
from llmclient.testing._buckets import Limits
from llmclient.testing._capture import capture
from llmclient.testing._fake import FakeAnthropic
from llmclient.testing._requests import PLAN_HEADER, USAGE_HEADER, Plan, Request

__all__ = [
    "PLAN_HEADER",
    "USAGE_HEADER",
    "Answer",
    "Break",
    "Failure",
    "FakeAnthropic",
    "HangUp",
    "Limits",
    "Plan",
    "Reply",
    "Request",
    "broken",
    "capture",
    "fail",
    "hang_up",
    "own_spend_limit",
    "reply",
    "slow",
    "spend_limit",
    "stalled",
]
