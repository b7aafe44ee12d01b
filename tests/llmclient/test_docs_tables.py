"""What the pages say of defaults, categories, names and figures is what the code says."""

import inspect
import re
from dataclasses import MISSING, Field, fields
from typing import Any

import pytest

import llmclient
from llmclient import (
    _admission,
    _batch,
    _breaker,
    _bucket,
    _buffer,
    _context,
    _delivery,
    _estimates,
    _holds,
    _keys,
    _ledger,
    _ledger_redis,
    _limits_shared,
    _retries,
    _shipper,
    _similar,
    _spool,
    _waiting,
    _watchdog,
    fallback,
)
from llmclient._call import OUTCOMES, SOURCES
from llmclient._errors import CATEGORIES
from llmclient._pace import Pace
from tests.llmclient.pages import EVERYTHING, ROOT, code_in, page_named, public_rows, table_headed, tables_of, thing

RULES = (
    llmclient.Timeout,
    llmclient.Retry,
    llmclient.Breaker,
    llmclient.Limits,
    llmclient.Budget,
    llmclient.Privacy,
    llmclient.Policy,
)
KIB = 1024
MIB = 1024 * KIB
FIGURES = {
    "telemetry": (
        f"{_waiting.MAX_EVENTS:,} events wait, or {_waiting.MAX_BYTES // MIB} MiB of them packed",
        f"up to {_waiting.BLOCK_EVENTS} at a time",
        f"{_buffer.MAX_BYTES // MIB} MiB of calls are held",
        f"every {Pace().interval:.0f} seconds or {Pace().enough_events} events",
        f"after {Pace().heartbeat:.0f} s of silence",
        f"pauses sending for {_delivery.NO_ENTRY_PAUSE / 60:.0f} minutes",
        f"more than {_batch.LARGEST_EVENT // KIB} KiB",
        f"more than {_spool.MAX_AGE / 3600:.0f} hours",
        f"at most {_spool.MAX_BYTES // MIB} MiB",
        f"At most {_shipper.EXIT_SECONDS:g} s",
        f"cut at {_context.LABEL_LENGTH} characters, tags at {_context.MAX_TAGS}",
        f"the last {_context.REMEMBERED};",
    ),
    "retries-and-breaker": (
        f"{_retries.START} retries at the start",
        f"never more than {_retries.CAP}",
        f"costs {_retries.RETRY_COST}, after a timeout {_retries.TIMEOUT_COST}",
        f"{_breaker.LONGEST_LEASE / 60:.0f} min at most",
        f"{_breaker.CLEAN:.0f} s of good health",
    ),
    "limits": (
        f"once {_estimates.ENOUGH_SEEN} are known",
        f"{_estimates.UNKNOWN_OUTPUT:,}",
        f"for {_admission.BLOCKED:.0f} s, never for more than {_admission.LONGEST_BLOCK:.0f} s",
        f"{_bucket.CUT} of what it was",
        f"within {_limits_shared.ANSWER_WITHIN} s",
        f"asks again {_limits_shared.DOWN:.0f} s later",
    ),
    "keys": (f"rests for {_keys.REST:.0f} s", f"less than {_keys.PAUSE:.0f} s ago"),
    "budgets": (f"At {_holds.SOFT_PERCENT} %", f"{_ledger.MOST_PURSES:,} users", f"{_ledger_redis.TIMEOUT} s at most"),
    "fallback": (f"more than {_similar.LONGEST} words",),
    "deadlines": (f"ends after {_watchdog.IDLE_SECONDS:.0f} s",),
}


def default_of(field: "Field[Any]") -> str | None:
    """As the pages write it; None for what must be given, "…" for what is an object of its own."""
    if field.default_factory is not MISSING:
        return repr(field.default_factory())
    if field.default is MISSING:
        return None
    default = field.default
    return f"{type(default).__name__}()" if type(default) in RULES else repr(default)


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: rules.__name__)
def test_every_table_of_defaults_is_that_of_the_code(rules: Any) -> None:
    wanted = {field.name: default_of(field) for field in fields(rules) if field.init}
    found = [table[1:] for table in tables_of(EVERYTHING) if table[0][:2] == [f"`{rules.__name__}`", "default"]]
    assert found, "no table at all"
    for rows in found:
        told: dict[str, str | None] = {}
        for name, default, *_ in rows:
            told.update(zip(code_in(name), code_in(default), strict=True) if default else {code_in(name)[0]: None})
        assert told == wanted
    assert any(rules.__name__ == name for table in tables_of(page_named("policy")) for name in code_in(table[0][0]))


def test_every_category_is_described_with_what_becomes_of_it() -> None:
    rows = table_headed(page_named("retries-and-breaker"), "category", "what happened", "tried again", "breaker")
    described = {name: row for row in rows for name in code_in(row[0])}
    assert sorted(described) == sorted(CATEGORIES)
    again = {name for name, row in described.items() if row[2].startswith(("yes", "once", "before"))}
    assert again == _retries.RETRYABLE
    assert {name for name, row in described.items() if row[3] == "failure"} == _breaker.FAILURES
    opening = {name: row[3] for name, row in described.items() if row[3].startswith("opens")}
    assert opening == {name: f"opens for {seconds / 60:.0f} min" for name, seconds in _breaker.COOLDOWNS.items()}


def test_which_fallback_is_for_what_is_told_as_it_is() -> None:
    chain: dict[str, fallback.Fallback] = {
        "Cached": fallback.Cached(max_stale="1d"),
        "Model": fallback.Model("claude-haiku-5-5"),
        "Rule": fallback.Rule(lambda asked: None),
        "Defer": fallback.Defer(lambda job: None),
        "Notice": fallback.Notice("Soon."),
    }
    rows = table_headed(page_named("fallback"), "category", *(f"`{name}`" for name in chain))
    told = {name: row[1:] for row in rows for name in code_in(row[0])}
    on_refusal = {name for name, element in chain.items() if hasattr(element, "on_refusal")}
    for category in CATEGORIES:
        yes = ["yes" if element.handles(category) else "" for element in chain.values()]
        if category == "refusal":
            yes = ["`on_refusal`" if name in on_refusal else "" for name in chain]
        assert told.get(category, [""] * len(chain)) == yes, category


def test_every_public_name_is_described_on_the_entry_page() -> None:
    described = {re.split(r"\W", code)[0] for row in public_rows() for code in code_in(row[0])}
    assert set(llmclient.__all__) <= described
    for name in described:
        thing(f"llmclient.{name}")


def test_every_parameter_of_a_public_function_is_told() -> None:
    written = [code for row in public_rows() for code in code_in(row[0]) if "(" in code and "…" not in code]
    assert len(written) >= 10
    for code in written:
        name, _, rest = code.partition("(")
        told = re.findall(r"\w+", rest)
        assert told == list(inspect.signature(getattr(llmclient, name)).parameters), code


def test_every_exception_is_described_with_what_it_carries() -> None:
    table = {name: row for row in public_rows() for name in code_in(row[0])}
    for name in llmclient.__all__:
        kind = getattr(llmclient, name)
        if not (isinstance(kind, type) and issubclass(kind, BaseException)) or "__init__" not in vars(kind):
            continue
        carried = set(inspect.signature(kind).parameters) - {"message", "request", "body"}
        assert carried <= set(code_in(table[name][1])), name


def test_every_reason_for_a_loss_is_described() -> None:
    sources = "".join((ROOT / "llmclient" / f"_{name}.py").read_text() for name in ("delivery", "encoding", "spool"))
    reasons = set(re.findall(r'(?:losses\[|_lose\(|count_loss\(|_give_up\()"(\w+)"', sources))
    assert len(reasons) >= 7
    described = {name for row in table_headed(page_named("telemetry"), "lost because") for name in code_in(row[0])}
    assert described == reasons


@pytest.mark.parametrize("words", [SOURCES, OUTCOMES], ids=["sources", "outcomes"])
def test_every_word_of_an_event_is_described(words: tuple[str, ...]) -> None:
    first = {name for table in tables_of(EVERYTHING) for row in table for name in code_in(row[0])}
    assert set(words) <= first


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_that_of_the_code(name: str) -> None:
    text = " ".join(page_named(name).split())
    assert [figure for figure in FIGURES[name] if figure not in text] == []
