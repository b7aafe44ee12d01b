"""Policy: what a client does when Claude is slow, full, down or too dear. Frozen data; every default is for production.

Seconds, unless a name says otherwise. A wrong value is a ValueError that names the setting, when the policy is made:
never during a call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from llmclient._durations import seconds_of

if TYPE_CHECKING:
    from llmclient.fallback import Fallback
    from llmclient.filters import Filter
    from llmclient.validators import Validator

Capture = Literal["off", "redacted", "full"]
Priority = Literal["interactive", "background"]
Per = Literal["request", "user", "session", "feature", "app"]
OnExceed = Literal["raise", "fallback", "warn"]

PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
NANO: Final = 1_000_000_000


def _above_zero(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not (isinstance(value, int | float) and value > 0):
            raise ValueError(f"{type(owner).__name__}.{name}: {value!r} must be above 0")


def _share(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not (isinstance(value, int | float) and 0 < value <= 1):
            raise ValueError(f"{type(owner).__name__}.{name}: {value!r} must be above 0 and at most 1")


def _one_of(owner: object, name: str, allowed: Sequence[str]) -> None:
    value = getattr(owner, name)
    if value not in allowed:
        raise ValueError(f"{type(owner).__name__}.{name}: {value!r} must be one of {', '.join(allowed)}")


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long a call may take. `total` covers all attempts and waits; the others hold for each attempt."""

    total: float = 60.0
    first_token: float = 30.0
    """From sending a streamed attempt to its first content; pings do not count as content."""
    idle: float = 30.0
    """Between two pieces of a streamed answer."""
    connect: float = 5.0

    def __post_init__(self) -> None:
        _above_zero(self, "total", "first_token", "idle", "connect")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and after which waits, a call is tried again: full jitter, and `retry-after` as the least."""

    attempts: int = 3
    base: float = 0.5
    cap: float = 8.0
    overloaded_base: float = 1.0
    overloaded_cap: float = 20.0
    budget: float | None = 0.2
    """Retries earned by each success, per model group: the extra load in the long run. None: they are not counted."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.attempts % 1:
            raise ValueError(f"Retry.attempts: {self.attempts!r} must be a whole number of at least 1")
        _above_zero(self, "base", "cap", "overloaded_base", "overloaded_cap")
        if self.budget is not None:
            _above_zero(self, "budget")


@dataclass(frozen=True, slots=True)
class Breaker:
    """When calls to a model group are stopped at once, and how it is found out that they work again."""

    window: float = 60.0
    threshold: float = 0.5
    """Share of failed attempts in the window that opens it."""
    minimum: int = 10
    """Attempts in the window below which the share says nothing."""
    consecutive: int = 5
    """Failures in a row that open it when there are fewer attempts than `minimum`."""
    cooldown: float = 30.0
    """Until probes are let through; doubled each time they fail, up to `longest_cooldown`."""
    longest_cooldown: float = 300.0
    probes: int = 3
    """Attempts let through half open. Most of them must succeed."""

    def __post_init__(self) -> None:
        _above_zero(self, "window", "minimum", "consecutive", "cooldown", "longest_cooldown", "probes")
        _share(self, "threshold")


@dataclass(frozen=True, slots=True)
class Limits:
    """How calls are kept under the provider's rate limits, which are learned from the headers of its answers."""

    target: float = 0.9
    """Share of the quota that is used."""
    max_wait: float = 10.0
    """Longest wait for a turn; who would wait longer is told at once."""
    queue: int = 100
    """Calls that may wait at a time, per model group."""
    concurrency: int = 64
    """Most attempts under way at a time, per model group; fewer while the provider pushes back."""
    share: float = 1.0
    """This process's share of the quota, where several processes use one key: 1/n."""

    def __post_init__(self) -> None:
        _above_zero(self, "max_wait", "queue", "concurrency")
        _share(self, "target", "share")


@dataclass(frozen=True, slots=True)
class Budget:
    """Most tokens or dollars per request, or per user, session, feature or app in a sliding window."""

    per: Per
    tokens: int | None = None
    usd: str | int | Decimal | None = None
    """Dollars, exact: "1.00". Not a float."""
    window: str | float = "1d"
    """Not used per request."""
    on_exceed: OnExceed = "raise"
    """raise BudgetExceeded, answer by the fallback chain, or only tell."""
    # Read once: every call asks for them.
    unit: Literal["tokens", "nanousd"] = field(init=False, repr=False, compare=False)
    amount: int = field(init=False, repr=False, compare=False)
    """The limit, in `unit`."""
    seconds: float = field(init=False, repr=False, compare=False)
    """The window in seconds."""

    def __post_init__(self) -> None:
        _one_of(self, "per", get_args(Per))
        _one_of(self, "on_exceed", get_args(OnExceed))
        if (self.tokens is None) == (self.usd is None):
            raise ValueError("Budget: give either tokens or usd")
        if self.tokens is not None:
            _above_zero(self, "tokens")
        elif self.nanousd <= 0:
            raise ValueError(f"Budget.usd: {self.usd!r} must be above 0")
        object.__setattr__(self, "unit", "nanousd" if self.tokens is None else "tokens")
        object.__setattr__(self, "amount", self.nanousd if self.tokens is None else self.tokens)
        object.__setattr__(self, "seconds", seconds_of(self.window, "Budget.window"))

    @property
    def nanousd(self) -> int:
        """The amount in nano-dollars; 0 when it is one of tokens."""
        if self.usd is None:
            return 0
        if isinstance(self.usd, float):
            raise ValueError(f'Budget.usd: {self.usd!r} is a float; write "{self.usd}"')
        try:
            exact = Decimal(self.usd) * NANO
        except InvalidOperation:
            raise ValueError(f"Budget.usd: {self.usd!r} is no amount of dollars") from None
        if not exact.is_finite() or exact != exact.to_integral_value():
            raise ValueError(f"Budget.usd: {self.usd!r} is no whole number of nano-dollars")
        return int(exact)


@dataclass(frozen=True, slots=True)
class Privacy:
    """What of prompts and answers leaves the process. None: as `configure` says."""

    capture: Capture | None = None
    sample: float = 1.0
    """Share of calls whose content is kept. All calls are measured, whatever this is."""

    def __post_init__(self) -> None:
        if self.capture is not None:
            _one_of(self, "capture", get_args(Capture))
        if not 0 <= self.sample <= 1:
            raise ValueError(f"Privacy.sample: {self.sample!r} must be between 0 and 1")


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a client obeys. `prompts` holds what is different for a prompt type, by name of the field."""

    timeout: Timeout = Timeout()
    retry: Retry = Retry()
    breaker: Breaker | None = Breaker()
    """None: never opens."""
    limits: Limits | None = Limits()
    """None: no waiting, no queue."""
    budgets: Sequence[Budget] = ()
    fallback: "Sequence[Fallback]" = ()
    """What may answer when Claude does not, in this order. Without any the error is raised."""
    privacy: Privacy = Privacy()
    validators: "Sequence[Validator]" = ()
    """Looked at before anything is sent; the first complaint raises InputRejected."""
    filters: "Sequence[Filter]" = ()
    """What becomes of an answer before the caller sees it: masked, or OutputFiltered."""
    priority: Priority = "interactive"
    prompts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _one_of(self, "priority", PRIORITIES)
        known = {each.name for each in fields(self)} - {"prompts"}
        for prompt_type, changes in self.prompts.items():
            for name in changes:
                if name not in known:
                    raise ValueError(f"Policy.prompts[{prompt_type!r}]: {name!r} is not a setting of Policy")
            replace(self, prompts={}, **changes)

    def for_prompt(self, prompt_type: str | None) -> "Policy":
        """The policy that holds for calls of a prompt type."""
        changes = self.prompts.get(prompt_type) if prompt_type is not None else None
        return self if changes is None else replace(self, prompts={}, **changes)


Clock = Callable[[], float]
