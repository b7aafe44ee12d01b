"""The closed sets of words an event may use, and the small numbers they are stored as.

The words are those of the wire (docs/events.md). A number is never given to another word: old rows keep it.
`llmclient` spells the same words on its side, because old clients live long; tests/test_contract.py holds them equal.
"""

from enum import IntEnum, IntFlag
from typing import Final


class Outcome(IntEnum):
    """How the call ended for the caller."""

    OK = 0
    DEGRADED = 1  # answered, but not by the model that was asked for
    ERROR = 2
    REJECTED = 3  # refused before it was sent: budget, limiter, open circuit, invalid input
    CANCELLED = 4  # the caller went away; nobody's failure


ANSWERED: Final = (Outcome.OK, Outcome.DEGRADED)
FAILED: Final = (Outcome.ERROR, Outcome.REJECTED)


class ErrorCategory(IntEnum):
    """Why a call failed; each category asks for a different remedy."""

    NONE = 0
    TIMEOUT = 1
    CONNECTION = 2
    RATE_LIMIT = 3
    RAMP_LIMIT = 4
    OVERLOADED = 5
    SERVER_ERROR = 6
    INVALID_REQUEST = 7
    SPEND_LIMIT = 8
    BILLING = 9
    AUTHENTICATION = 10
    PERMISSION = 11
    NOT_FOUND = 12
    REQUEST_TOO_LARGE = 13
    CONTEXT_WINDOW = 14
    REFUSAL = 15
    TRUNCATED = 16
    INVALID_OUTPUT = 17
    STREAM_INTERRUPTED = 18
    CANCELLED = 19
    CIRCUIT_OPEN = 20
    LOCAL_RATE_LIMITED = 21
    BUDGET_EXCEEDED = 22
    DEADLINE_EXCEEDED = 23
    INPUT_REJECTED = 24
    OUTPUT_FILTERED = 25
    FALLBACK_EXHAUSTED = 26
    OTHER = 27  # a word this server does not know yet


class Source(IntEnum):
    """Where the answer came from."""

    API = 0
    CACHE = 1
    STALE_CACHE = 2
    MODEL_FALLBACK = 3
    RULE = 4
    DEFERRED = 5
    NOTICE = 6


class StopReason(IntEnum):
    END_TURN = 0
    MAX_TOKENS = 1
    STOP_SEQUENCE = 2
    TOOL_USE = 3
    PAUSE_TURN = 4
    REFUSAL = 5
    MODEL_CONTEXT_WINDOW_EXCEEDED = 6
    OTHER = 7


class Flag(IntFlag):
    """Facts about a stored call that are either so or not."""

    STREAM = 1
    USAGE_ESTIMATED = 2  # the stream broke off; output tokens are the client's estimate
    USAGE_UNKNOWN = 4  # the call may have been billed and nobody knows for how much
    SANITIZED = 8  # NUL or lone surrogates were replaced
    RESTAMPED = 16  # the client's clock was ahead; the time of receipt is used
    HAS_BODY = 32
    BATCH = 64
    FAST = 128
    US_ONLY = 256  # inference_geo "us"
    PRIORITY = 512


class BreakerState(IntEnum):
    """Whether a client's breaker lets the calls of a group of models through."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2  # a few, to find out


class DimensionKind(IntEnum):
    """What an interned string in `dim` names."""

    ENVIRONMENT = 1
    FEATURE = 2
    PROMPT_TYPE = 3
    PROMPT_VERSION = 4
    MODEL = 5
    APP = 6
    RELEASE = 7
    SDK = 8
    KEY = 9  # the alias of an API key


class Grain(IntEnum):
    """The size of a rollup bucket. A mark in `rollup_dirty` names the grain whose bucket is to be recomputed.

    A month is marked by each day of it that was recomputed. Scores have marks of their own, because one may come weeks
    after its call: then its hour is counted again for scores alone.
    """

    MINUTE = 0
    HOUR = 1
    DAY = 2
    MONTH = 3
    SCORE_HOUR = 4
    SCORE_DAY = 5
