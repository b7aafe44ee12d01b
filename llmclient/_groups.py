"""What calls to the same models share: a breaker, the limits, and how often may be retried.

The cores are pure and know no threads; here each group has one lock, held for microseconds and never across I/O.
"""

import math
import os
import random
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from llmclient import _config, _limits, _telling
from llmclient._admission import Admission, Admitted, Refused, Ticket, Want
from llmclient._breaker import CircuitBreaker, Permit, Refusal, Transition, cooldown_of, result_of
from llmclient._errors import Category
from llmclient._estimates import Estimates
from llmclient._forklock import ForkLock
from llmclient._models import group_of
from llmclient._policy import Policy, Priority, Retry
from llmclient._quietly import quietly
from llmclient._retries import Retries, RetryBudget
from llmclient._shared import Shared

REFUSED: Final = frozenset({"rate_limit", "ramp_limit", "overloaded"})
LEARNED: Final = 0.02  # seconds for which what an answer said will do, while there is plenty
MOST_GROUPS: Final = 64  # model names come from the application; what is beyond shares one group
OTHERS: Final = "(other)"


class Group:
    """The guards of one group of models. Every `now` is a monotonic second."""

    def __init__(self, name: str, policy: Policy, told: Callable[[str, Transition], None]) -> None:
        self.name = name
        self._lock = ForkLock()
        rules, limits = policy.breaker, policy.limits
        self._breaker = None if rules is None else CircuitBreaker(rules, told=lambda change: told(name, change))
        self._admission = None if limits is None else Admission(limits, chance=random.random)
        self._share = 1.0 if limits is None else limits.share
        self._learned_at = -math.inf
        self._retry_budget = RetryBudget(policy.retry.budget)

    def pay_retry(self, retries: Retries, *facts: Any, **more: Any) -> float | None:
        """`Retries.next_wait`: what it pays for a retry is shared."""
        with self._lock.held:
            return retries.next_wait(*facts, **more)

    def retries(self, rules: Retry) -> Retries:
        """For one call."""
        return Retries(rules, self._retry_budget)

    def succeeded(self) -> None:
        """An attempt was answered: that earns a part of a retry."""
        with self._lock.held:
            self._retry_budget.succeed()

    def admit(self, now: float, lease: float) -> Permit | Refusal | None:
        """Whether the breaker lets an attempt through; None where there is no breaker."""
        if self._breaker is None:
            return None
        with self._lock.held:
            return self._breaker.admit(now, lease)

    def over(
        self,
        permit: Permit | None,
        admitted: Admitted | None,
        category: Category | None,
        input_: int | None,
        output: int | None,
        now: float,
    ) -> None:
        """An attempt is over that was let through and let in; tokens as far as they are known."""
        woken: Sequence[Ticket] = ()
        with self._lock.held:
            try:
                if self._breaker is not None and permit is not None:
                    self._report(self._breaker, permit, category, now)
            finally:
                if self._admission is not None and admitted is not None:
                    if category in REFUSED:  # the provider counts nothing of what it refuses
                        input_ = output = 0
                    pushed_back = category in REFUSED or category == "timeout"
                    woken = self._admission.done(
                        admitted, input=input_, output=output, pushed_back=pushed_back, now=now
                    )
        _wake(woken)

    @staticmethod
    def _report(breaker: CircuitBreaker, permit: Permit, category: Category | None, now: float) -> None:
        breaker.report(permit, result_of(category), now)
        cooldown = cooldown_of(category)
        if category is not None and cooldown is not None:
            breaker.trip(now, cooldown, category)

    def return_permit(self, permit: Permit | None, now: float) -> None:
        """The attempt the permit was for was not made."""
        if self._breaker is not None and permit is not None:
            with self._lock.held:
                self._breaker.report(permit, "neutral", now)

    def enter(
        self, want: Want, *, priority: Priority, patience: float, now: float
    ) -> Admitted | Ticket | Refused | None:
        """A turn under the rate limits, or a place in the queue; None where there are no limits."""
        if self._admission is None:
            return None
        with self._lock.held:
            return self._admission.enter(want, priority=priority, patience=patience, now=now)

    def poll(self, ticket: Ticket, now: float) -> Admitted | float | Refused:
        assert self._admission is not None
        with self._lock.held:
            return self._admission.poll(ticket, now)

    def abandon(self, held: Ticket | Admitted, now: float) -> None:
        """The caller went away: what was reserved is free again."""
        assert self._admission is not None
        with self._lock.held:
            woken = self._admission.abandon(held, now)
        _wake(woken)

    def learn(
        self, headers: Mapping[str, str], limits: Mapping[str, int], *, unix_now: float, now: float, sent_at: float
    ) -> None:
        """What an answer says about the limits, and those of them that were read already.

        While more than half of each is left, one answer in 20 ms says enough: nobody uses up the other half so fast.
        """
        if self._admission is not None and not (now - self._learned_at < LEARNED and _limits.are_plenty(limits)):
            with self._lock.held:
                self._learned_at = now
                self._admission.learn(headers, received_at_unix=unix_now, now=now, sent_at=sent_at, said=limits)

    def refused(self, category: Category, retry_after: float | None, headers: Mapping[str, str], now: float) -> None:
        """The provider pushed back."""
        if self._admission is not None:
            with self._lock.held:
                self._admission.refused(category, retry_after=retry_after, headers=headers, now=now)

    def trip(self, now: float, cooldown: float, reason: str) -> None:
        """Opens the breaker at once, for as long."""
        if self._breaker is not None:
            with self._lock.held:
                self._breaker.trip(now, cooldown, reason)

    def take_share(self, *, divided: bool, now: float) -> None:
        """All of the quota is this process's while the processes divide it among themselves, else its share."""
        if self._admission is not None:
            with self._lock.held:
                self._admission.take_share(1.0 if divided else self._share, now)

    def force_open(self, now: float, seconds: float | None, reason: str) -> None:
        if self._breaker is not None:
            with self._lock.held:
                self._breaker.force_open(now, seconds, reason)

    def reset(self, now: float) -> None:
        if self._breaker is not None:
            with self._lock.held:
                self._breaker.reset(now)

    def snapshot(self, now: float) -> dict[str, Any]:
        """For telemetry: the breaker's state and what the limiter knows."""
        with self._lock.held:
            found: dict[str, Any] = {}
            if self._breaker is not None:
                found["breaker"] = self._breaker.state(now)
            if self._admission is not None:
                found["limiter"] = self._admission.snapshot(now)
            return found


class Guards:
    """The groups of one account. A forked child begins anew: what is under way is the parent's."""

    def __init__(self, account: str, policy: Policy) -> None:
        self._account = account
        self._policy = policy
        self._shared: tuple[str, Shared] | None = None
        self._reset()

    def shared(self) -> Shared | None:
        """What the processes of this account share, where there is a Redis for it."""
        url = _config.current().redis
        if url is None:
            return None
        if self._shared is None or self._shared[0] != url:
            limits = self._policy.limits
            self._shared = (url, Shared(url, self._account, target=1.0 if limits is None else limits.target))
        return self._shared[1]

    def _changed(self, group: str, change: Transition) -> None:
        _telling.breaker_changed(group, change)
        shared = self.shared()
        if shared is not None:
            shared.breaker_changed(group, change)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = ForkLock()
        self._estimates = Estimates()
        self.groups: dict[str, Group] = {}

    def want(self, prompt_type: str | None, characters: int, max_tokens: int | None) -> Want:
        """What a call of a prompt type is expected to use."""
        with self._lock.held:
            return self._estimates.want(prompt_type, characters=characters, max_tokens=max_tokens)

    def learn(self, prompt_type: str | None, characters: int, input_: int | None, output: int | None) -> None:
        """What such a call has used."""
        with self._lock.held:
            self._estimates.learn(prompt_type, characters=characters, input=input_, output=output)

    def group(self, model: str | None, *, fast: bool = False) -> Group:
        """The group a model belongs to."""
        if self._pid != os.getpid():
            self._reset()
        name = group_of(model or "", fast=fast)
        found = self.groups.get(name)
        if found is not None:
            return found
        with self._lock.held:
            if len(self.groups) >= MOST_GROUPS:
                name = OTHERS
            return self.groups.setdefault(name, Group(name, self._policy, self._changed))


_shared: weakref.WeakValueDictionary[object, Guards] = weakref.WeakValueDictionary()
_sharing = ForkLock()


def guards_of(account: str, policy: Policy) -> Guards:
    """The guards all clients of one account and equal rules share in this process."""
    key = (account, policy.breaker, policy.limits, policy.retry.budget)
    with _sharing:
        found = _shared.get(key)
        if found is None:
            found = _shared[key] = Guards(account, policy)
        return found


def every_group() -> list[Group]:
    """All groups in use, for telemetry."""
    return [group for guards in list(_shared.values()) for group in list(guards.groups.values())]


def force_open(model: str, now: float, seconds: float | None, reason: str) -> None:
    """Opens the breakers of a model's groups, for every account this process has a client for."""
    for group in _groups_of(model):
        group.force_open(now, seconds, reason)


def reset(model: str, now: float) -> None:
    """The breakers of a model's groups begin anew."""
    for group in _groups_of(model):
        group.reset(now)


def _groups_of(model: str) -> list[Group]:
    """The model's groups, fast and not, of every account this process has a client for."""
    return [guards.group(model, fast=fast) for guards in list(_shared.values()) for fast in (False, True)]


def _begin_anew() -> None:
    for guards in list(_shared.values()):
        quietly(guards._reset)


def _wake(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        if ticket.wake is not None:
            quietly(ticket.wake)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
