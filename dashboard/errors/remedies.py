"""Remedies: for each category of error whether trying again helps, and what else does.

The client retries by the same rules (docs/client.md); these are the words for people.
"""

from dataclasses import dataclass
from typing import Final

from ingest.vocabulary import ErrorCategory


@dataclass(frozen=True, slots=True)
class Remedy:
    """`retry` answers "does trying again help?", `phrase` goes on from "overloaded leads, …"."""

    retry: str
    phrase: str
    action: str


_CURED: Final = "which retries usually cure"
_WAITS: Final = "which passes when the wait that Claude asks for is kept"
_STAYS: Final = "which no retry cures"
_OURS: Final = "which the application itself decided"

REMEDIES: Final = {
    ErrorCategory.TIMEOUT: Remedy(
        "once", "which one more try may cure", "Raise the deadline, stream the answer, or ask for a shorter one."
    ),
    ErrorCategory.CONNECTION: Remedy("yes", _CURED, "If it lasts: look at the network, proxies and DNS on the way."),
    ErrorCategory.RATE_LIMIT: Remedy(
        "after the wait", _WAITS, "Spread the load, cache prompts, or ask for a higher limit."
    ),
    ErrorCategory.RAMP_LIMIT: Remedy(
        "after the wait", _WAITS, "Let traffic grow more slowly: the limit is on how fast it rises."
    ),
    ErrorCategory.OVERLOADED: Remedy("yes", _CURED, "Wait longer between tries; let another model answer meanwhile."),
    ErrorCategory.SERVER_ERROR: Remedy("yes", _CURED, "If it lasts: see the provider's status page, use a fallback."),
    ErrorCategory.INVALID_REQUEST: Remedy(
        "no", f"{_STAYS}: the request itself is wrong", "Correct the request; the message says which part."
    ),
    ErrorCategory.SPEND_LIMIT: Remedy(
        "never", f"{_STAYS} before the limit is raised", "Raise the spend limit with the provider, or await the month."
    ),
    ErrorCategory.BILLING: Remedy(
        "never", f"{_STAYS} before the bill is settled", "Settle the account with the provider."
    ),
    ErrorCategory.AUTHENTICATION: Remedy(
        "no", f"{_STAYS}: the API key is refused", "Check the API key, or replace it."
    ),
    ErrorCategory.PERMISSION: Remedy(
        "no", f"{_STAYS}: the key may not do this", "Give the key's workspace access to the model or feature."
    ),
    ErrorCategory.NOT_FOUND: Remedy("no", _STAYS, "Check the name of the model: it may have been retired."),
    ErrorCategory.REQUEST_TOO_LARGE: Remedy("no", _STAYS, "Send less: shorten the input, or split it."),
    ErrorCategory.CONTEXT_WINDOW: Remedy(
        "no", _STAYS, "Shorten the conversation, or take a model with a larger window."
    ),
    ErrorCategory.REFUSAL: Remedy(
        "no", "which the same question gets again", "Read what was asked; another model may answer it."
    ),
    ErrorCategory.TRUNCATED: Remedy("no", _STAYS, "Raise max_tokens, or ask for a shorter answer."),
    ErrorCategory.INVALID_OUTPUT: Remedy(
        "one repair", "which asking once more often cures", "Let the client repair once; make the wanted form simpler."
    ),
    ErrorCategory.STREAM_INTERRUPTED: Remedy(
        "before the first words",
        "which a retry cures before the first words are shown",
        "Look for proxies that cut long connections.",
    ),
    ErrorCategory.CANCELLED: Remedy("no", "which is nobody's failure", "Nothing: the caller went away."),
    ErrorCategory.CIRCUIT_OPEN: Remedy(
        "by itself", f"{_OURS}: the breaker was open", "See below what opened the breaker, and cure that."
    ),
    ErrorCategory.LOCAL_RATE_LIMITED: Remedy(
        "later", f"{_OURS}: its own limiter was full", "Give background work less priority, or the limiter more."
    ),
    ErrorCategory.BUDGET_EXCEEDED: Remedy(
        "no", f"{_OURS}: the budget was used up", "Raise the budget, or await its next period."
    ),
    ErrorCategory.DEADLINE_EXCEEDED: Remedy(
        "no", f"{_OURS}: its time was up", "See in the calls where the time went; raise the deadline."
    ),
    ErrorCategory.INPUT_REJECTED: Remedy(
        "no", f"{_OURS}: a check refused the input", "Nothing was sent; see which check and why."
    ),
    ErrorCategory.OUTPUT_FILTERED: Remedy("no", f"{_OURS}: a filter held the answer back", "See which filter and why."),
    ErrorCategory.FALLBACK_EXHAUSTED: Remedy(
        "no", "after which every stand-in failed too", "See the first failure of each call; add a last stand-in."
    ),
    ErrorCategory.OTHER: Remedy(
        "unknown", "a word this server does not know", "Bring server and client to one version; see the message."
    ),
}


def remedy(name: str) -> Remedy:
    """Return the remedy of a category by its name in small letters; for an unknown name that of "other"."""
    found = next((category for category in REMEDIES if category.name.lower() == name), ErrorCategory.OTHER)
    return REMEDIES[found]
