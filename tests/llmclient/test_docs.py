"""The pages for people who use llmclient are true: every example is run, every table is compared with the code.

Page by page the examples are one program, run against a fake Claude and a real backend. What Claude answers stands in
an HTML comment before an example, `<!-- Claude: overloaded(), reply("hello") -->`: constructors of `llmclient.testing`,
or one function of the request. Where none stands it says "billing". What a line prints is compared with what the page
claims behind it: `print(…)  # → billing`.
"""

import importlib
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any

import pytest

import llmclient
import llmclient.testing
from llmclient import cache, fallback
from llmclient._breaker import COOLDOWNS, FAILURES
from llmclient._call import OUTCOMES, SOURCES
from llmclient._errors import CATEGORIES
from llmclient._retries import RETRYABLE
from llmclient.testing import FakeAnthropic, reply
from llmclient.testing._answers import Answer
from tests.llmclient.backend import Backend

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ENTRY = DOCS / "client.md"
PAGES = (ENTRY, *sorted((DOCS / "client").glob("*.md")))
TEXTS = {page: page.read_text() for page in PAGES}
EVERYTHING = "\n".join(TEXTS.values())
BLOCK = re.compile(r"(?:<!-- Claude: (?P<script>.*?) -->\n\n)?^```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
CLAIM = re.compile(r"print\(.*\)  # → (.*)$")
LONGEST_PAGE = 130  # lines
RULES = (
    llmclient.Timeout,
    llmclient.Retry,
    llmclient.Breaker,
    llmclient.Limits,
    llmclient.Budget,
    llmclient.Privacy,
    llmclient.Policy,
)

ADDRESS = "https://llv_ing_your_key@vitals.example.com"
DIRECTORY = "/var/tmp/helpdesk-telemetry"
REDIS = "redis://cache.example.com:6379/0"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def page_named(name: str) -> str:
    return TEXTS[DOCS / "client" / f"{name}.md"]


# --- examples ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    line: int
    """Lines of the page before its code."""
    code: str
    answers: list[Any]
    """Claude's; or one function that gives them."""


def says_billing(_: object) -> Answer:
    return reply("billing")


def examples_of(page: Path) -> Iterator[Example]:
    text = TEXTS[page]
    for found in BLOCK.finditer(text):
        script = found["script"]
        answers = [says_billing] if script is None else eval(f"[{script}]", dict(vars(llmclient.testing)))
        yield Example(text.count("\n", 0, found.start("code")), found["code"], answers)


class Printed:
    """Takes the place of `print`, and knows the line."""

    def __init__(self) -> None:
        self.by_line: defaultdict[int, list[str]] = defaultdict(list)

    def __call__(self, *values: object) -> None:
        self.by_line[sys._getframe(1).f_lineno].append(" ".join(map(str, values)))


@pytest.fixture
def places(page: Path, backend: Backend, tmp_path: Path, request: pytest.FixtureRequest) -> Mapping[str, str]:
    """What the addresses on a page are in a test."""
    found = {ADDRESS: backend.dsn, DIRECTORY: str(tmp_path)}
    return {**found, REDIS: request.getfixturevalue("redis_url")} if REDIS in TEXTS[page] else found


@each_page
def test_every_example_runs_and_prints_what_the_page_says(
    page: Path, places: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.in_memory().clear()
    printed = Printed()
    names: dict[str, Any] = {"print": printed, "__name__": page.stem}
    examples = list(examples_of(page))
    assert examples
    with FakeAnthropic() as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
        for example in examples:
            fake.script(*example.answers)
            code = example.code
            for written, real in places.items():
                code = code.replace(written, real)
            # The lines of the program are those of the page.
            exec(compile("\n" * example.line + code, page.name, "exec"), names)
    lines = enumerate(TEXTS[page].splitlines(), start=1)
    claims = {number: [found[1]] for number, line in lines if (found := CLAIM.search(line))}
    assert {number: printed.by_line[number] for number in claims} == claims


# --- tables -----------------------------------------------------------------------------------------------------------


def tables_of(text: str) -> Iterator[list[list[str]]]:
    """The cells of each table, row by row; the first is its head."""
    for found in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found.splitlines()]
        yield [rows[0], *rows[2:]]


def table_headed(text: str, *head: str) -> list[list[str]]:
    [rows] = [table[1:] for table in tables_of(text) if tuple(table[0][: len(head)]) == head]
    return rows


def code_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


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
    wanted = {field.name: default_of(field) for field in fields(rules)}
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
    assert again == RETRYABLE
    assert {name for name, row in described.items() if row[3] == "failure"} == FAILURES
    opening = {name: row[3] for name, row in described.items() if row[3].startswith("opens")}
    assert opening == {name: f"opens for {seconds / 60:.0f} min" for name, seconds in COOLDOWNS.items()}


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


def thing(dotted: str) -> Any:
    """What a dotted name stands for; AttributeError or ImportError when it stands for nothing."""
    module, _, name = dotted.rpartition(".")
    found = importlib.import_module(module)
    return getattr(found, name) if hasattr(found, name) else importlib.import_module(dotted)


def public_rows() -> list[list[str]]:
    _, _, text = TEXTS[ENTRY].partition("\n## Everything public\n")
    return [row for table in tables_of(text) for row in table[1:]]


def test_every_exception_is_described_with_what_it_carries() -> None:
    table = {name: row for row in public_rows() for name in code_in(row[0])}
    for name in llmclient.__all__:
        kind = getattr(llmclient, name)
        if not (isinstance(kind, type) and issubclass(kind, BaseException)) or "__init__" not in vars(kind):
            continue
        carried = set(inspect.signature(kind).parameters) - {"message", "request", "body"}
        assert carried <= set(code_in(table[name][1])), name


def test_every_reason_for_a_loss_is_described() -> None:
    sources = "".join((ROOT / "llmclient" / f"_{name}.py").read_text() for name in ("batch", "delivery", "spool"))
    reasons = set(re.findall(r'(?:losses\[|_lose\(|count_loss\(|_give_up\()"(\w+)"', sources))
    assert len(reasons) >= 7
    described = {name for row in table_headed(page_named("telemetry"), "lost because") for name in code_in(row[0])}
    assert described == reasons


@pytest.mark.parametrize("words", [SOURCES, OUTCOMES], ids=["sources", "outcomes"])
def test_every_word_of_an_event_is_described(words: tuple[str, ...]) -> None:
    first = {name for table in tables_of(EVERYTHING) for row in table for name in code_in(row[0])}
    assert set(words) <= first


# --- the pages themselves ---------------------------------------------------------------------------------------------


def anchors_of(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), target
        assert not anchor or anchor in anchors_of(other.read_text()), target


@each_page
def test_everything_named_with_its_module_is_there(page: Path) -> None:
    for dotted in set(re.findall(r"\bllmclient(?:\.\w+)+", TEXTS[page])):
        thing(dotted)


def test_every_page_is_short_and_reached_from_the_entry() -> None:
    for page in PAGES[1:]:
        assert len(TEXTS[page].splitlines()) <= LONGEST_PAGE, page.name
        assert f"](client/{page.name})" in TEXTS[ENTRY], page.name
