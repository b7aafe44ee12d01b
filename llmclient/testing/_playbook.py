"""Who decides what a message is answered: a burst, then the script, then the request's own headers, then nobody."""

import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from llmclient.testing._answers import Answer, Burst, fail
from llmclient.testing._improvise import improvised
from llmclient.testing._requests import Plan, Request, read_plan
from llmclient.testing._schema import SchemaError

Script = Sequence[Answer | None] | Callable[[Request], Answer | None]

# A plan whose client gave up leaves its attempt count behind; only so many are kept.
PLANS_KEPT: Final = 10_000


class Playbook:
    """Decides one answer per message. `script` and `schedule` may be called from another thread."""

    def __init__(self, script: Script, *, seed: int, clock: Callable[[], float]) -> None:
        self._seed, self._clock = seed, clock
        self._attempts: OrderedDict[str, int] = OrderedDict()
        self._bursts: tuple[tuple[float, Burst], ...] = ()
        self.script(script)

    def script(self, script: Script) -> None:
        """From now on this script holds; what is left of the one before is forgotten."""
        answers = iter(() if callable(script) else script)
        self._next: Callable[[Request], Answer | None]
        self._next = script if callable(script) else lambda _: next(answers, None)

    def schedule(self, *bursts: Burst) -> None:
        """Bursts to come, their times counted from now."""
        now = self._clock()
        running = tuple(each for each in self._bursts if now < each[0] + each[1].after + each[1].lasting)
        self._bursts = (*running, *((now, burst) for burst in bursts))

    def decide(self, request: Request, request_id: str) -> tuple[Request, str, Answer]:
        """The request as the attempt it is, its id, and its answer."""
        try:
            plan = read_plan(request.headers)
            if plan is not None and plan.id:
                request = replace(request, attempt=self._next_attempt(plan.id))
                request_id = f"{plan.request_id}_{request.attempt}"
            answer = self._burst(request) or self._scripted(request) or self._planned(plan, request)
        except SchemaError as unknown:
            answer = fail(400, message=f"output_config: the fake cannot answer by this schema: {unknown}")
        except (ValueError, KeyError, TypeError) as broken:
            answer = fail(400, message=f"the x-fake header is not understood: {broken!r}")
        return request, request_id, answer

    def _scripted(self, request: Request) -> Answer | None:
        try:
            return self._next(request)
        except Exception as wrong:  # noqa: BLE001  the test's own code: it is told where the test looks
            return fail(500, message=f"the script of the fake raised {wrong!r}", should_retry=False)

    def _planned(self, plan: Plan | None, request: Request) -> Answer:
        return plan.answer(request.attempt) if plan is not None else improvised(request, self._seed)

    def _burst(self, request: Request) -> Answer | None:
        if not self._bursts:
            return None
        now = self._clock()
        for begun, burst in self._bursts:
            if burst.after <= now - begun < burst.after + burst.lasting:
                dice = random.Random(f"{self._seed}:burst:{request.number}")  # noqa: S311  no secret
                if dice.random() < burst.share:
                    return burst.answer
        return None

    def _next_attempt(self, plan_id: str) -> int:
        attempt = self._attempts.pop(plan_id, 0) + 1
        self._attempts[plan_id] = attempt
        if len(self._attempts) > PLANS_KEPT:
            self._attempts.popitem(last=False)
        return attempt
