"""What all calls of one instrumented client share: the policy, the guards, the keys, and the kind of its bodies."""

import time
from collections.abc import Callable, Generator
from typing import Any, Final

from anthropic import APIRequest

from llmclient._body import WatchedAsyncBody, WatchedBody
from llmclient._conduct import Conduct
from llmclient._effects import Effect
from llmclient._groups import Guards
from llmclient._keys import Keys
from llmclient._plan import Plan, plain
from llmclient._policy import Policy
from llmclient._quietly import quietly
from llmclient._recording import operation_of

KNOWN_PROMPTS: Final = 1_000  # prompt types whose policy is remembered


class Engine:
    """Makes a `Conduct` for each call. `client` is the SDK's client the calls go through, set once it is there."""

    def __init__(
        self,
        policy: Policy,
        guards: Guards,
        *,
        keys: Keys | None = None,
        is_async: bool = False,
        clock: Callable[[], float] = time.monotonic,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self.policy = policy
        self.guards = guards
        self.keys = keys
        self.client: Any = None
        self.is_async = is_async
        self.body_class: Any = WatchedAsyncBody if is_async else WatchedBody
        self.clock = clock
        self.unix_time = unix_time
        self._plans: dict[tuple[str | None, bool], Plan] = {}

    def conduct(self, request: APIRequest) -> Generator[Effect, Any, Any]:
        """One call from its request to what the caller gets."""
        operation = quietly(operation_of, request.method, request.url)
        return Conduct(self, request, operation).run()

    def plan_for(self, prompt_type: str | None, *, is_message: bool = True) -> Plan:
        """What holds for calls of a prompt type."""
        found = self._plans.get((prompt_type, is_message))
        if found is None:
            policy = self.policy.for_prompt(prompt_type)
            found = Plan(policy) if is_message else plain(policy)
            if len(self._plans) < KNOWN_PROMPTS:
                self._plans[prompt_type, is_message] = found
        return found

    def derived(self, policy: Policy) -> "Engine":
        """The engine of a client derived from this one's; its `client` is to be set."""
        return Engine(
            policy,
            self.guards,
            keys=self.keys,
            is_async=self.is_async,
            clock=self.clock,
            unix_time=self.unix_time,
        )
