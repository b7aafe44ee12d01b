"""A policy as calls need it: what each of them would work out again is worked out once."""

from dataclasses import replace
from typing import Final

from llmclient._cached import Cached
from llmclient._policy import Policy


class Plan:
    """`policy` with what follows from it. Like the policy it never changes."""

    __slots__ = ("caches", "holds_back", "keeps_fresh", "policy", "read_timeout")

    def __init__(self, policy: Policy) -> None:
        self.policy: Final = policy
        self.caches: Final = tuple(element for element in policy.fallback if isinstance(element, Cached))
        self.keeps_fresh: Final = any(cached.fresh is not None for cached in self.caches)
        """Whether an answer given before may do instead of asking Claude."""
        self.holds_back: Final = bool(policy.filters)
        """Whether an answer is shown only when it is complete: what is filtered cannot be shown before."""
        self.read_timeout: Final = max(policy.timeout.first_token, policy.timeout.idle)
        """Seconds the socket waits for the next piece of a stream."""


def plain(policy: Policy) -> Plan:
    """For what is not a message: tried again and timed, and nothing else."""
    return Plan(replace(policy, breaker=None, limits=None, budgets=(), fallback=(), validators=(), filters=()))
