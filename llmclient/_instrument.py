"""Puts the middleware into a client, and keeps it honest when the client is derived from."""

import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final, TypeVar

import anthropic
import httpx2

from llmclient import fallback
from llmclient._engine import Engine
from llmclient._groups import guards_of
from llmclient._keys import Keys
from llmclient._middleware import Vitals
from llmclient._policy import Policy

C = TypeVar("C")
NOT_GIVEN: Final = object()


def instrument(
    client: C,
    policy: Policy | None = None,
    *,
    keys: Keys | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> C:
    """See `llmclient.instrument`."""
    sdk_client: Any = client  # every client class of the SDK has what is used below; they share no public base
    if not hasattr(client, "middleware") or not hasattr(client, "with_options"):
        raise TypeError(
            f"llmclient.instrument() takes a client of the anthropic SDK (2.x), not {type(client).__name__}"
        )
    if _vitals_in(sdk_client.middleware) is not None:
        if policy is not None or keys is not None:
            raise ValueError("this client is instrumented already; give the policy when it is instrumented first")
        return client
    rules = _as_the_client_was(sdk_client) if policy is None else policy
    is_async = inspect.iscoroutinefunction(type(sdk_client).post)
    _check(sdk_client, rules, keys, is_async=is_async)
    engine = Engine(
        rules,
        guards_of(_account(sdk_client), rules),
        keys=keys,
        is_async=is_async,
        clock=clock,
    )
    vitals = Vitals(engine)
    adopted: C = _adopt(sdk_client.with_options(middleware=[vitals, *sdk_client.middleware], max_retries=0))
    engine.client = adopted
    return adopted


def _as_the_client_was(client: Any) -> Policy:
    """Without a policy the client's own settings stay: its number of retries, and a timeout longer than ours."""
    policy = Policy()
    policy = replace(policy, retry=replace(policy.retry, attempts=client.max_retries + 1))
    return policy if client.timeout == anthropic.DEFAULT_TIMEOUT else _patient(policy, client.timeout)


def _check(client: Any, policy: Policy, keys: Keys | None, *, is_async: bool) -> None:
    """Raises TypeError for what this kind of client could never use."""
    if keys is not None and type(client) not in (anthropic.Anthropic, anthropic.AsyncAnthropic):
        raise TypeError(f"keys are for Anthropic's own API, and {type(client).__name__} signs its requests otherwise")
    for rules in (policy, *map(policy.for_prompt, policy.prompts)):
        fallback.check(rules.fallback, asynchronous=is_async)
    if keys is not None and keys.needs_async and not is_async:
        raise TypeError("the vault of these keys is async; that works with the async clients only")


def _patient(policy: Policy, timeout: Any) -> Policy:
    """Whoever sets a longer timeout than the policy's means it."""
    seconds = timeout.read if isinstance(timeout, httpx2.Timeout) else timeout
    if not isinstance(seconds, float | int) or seconds <= policy.timeout.total:
        return policy
    return replace(policy, timeout=replace(policy.timeout, total=float(seconds)))


def _account(client: Any) -> str:
    """Whose limits these are: calls to one address with one key share them. The key itself is not kept."""
    key = getattr(client, "api_key", None) or getattr(client, "auth_token", None) or ""
    return blake2b(f"{client.base_url} {key}".encode(), digest_size=16).hexdigest()


def _adopt(client: Any) -> Any:
    """Makes `with_options(max_retries=…)` on an instrumented client mean what it says.

    The SDK hands middleware on to derived clients but tells it nothing, and its own retry loop has to stay off.
    """
    copy = type(client).copy

    def derive(*, max_retries: Any = NOT_GIVEN, middleware: Any = NOT_GIVEN, **options: Any) -> Any:
        entries = list(client.middleware if middleware is NOT_GIVEN else middleware or ())
        vitals = _vitals_in(entries)
        if vitals is None:  # the caller took it out: an ordinary client again, with ordinary retries
            attempts = _vitals_in(client.middleware).engine.policy.retry.attempts
            retries = attempts - 1 if max_retries is NOT_GIVEN else max_retries
            return copy(client, middleware=entries, max_retries=retries, **options)
        policy = vitals.engine.policy
        if max_retries is not NOT_GIVEN:
            policy = replace(policy, retry=replace(policy.retry, attempts=max_retries + 1))
        if "timeout" in options:
            policy = _patient(policy, options["timeout"])
        engine = vitals.engine.derived(policy)
        entries[entries.index(vitals)] = Vitals(engine)
        engine.client = _adopt(copy(client, middleware=entries, max_retries=0, **options))
        return engine.client

    vars(client).update(copy=derive, with_options=derive)
    return client


def _vitals_in(middleware: Any) -> Any:
    return next((entry for entry in middleware if isinstance(entry, Vitals)), None)
