"""The pages for people who use llmclient are true: every example is run, every link leads somewhere.

Page by page the examples are one program, run against a fake Claude and a real backend. What Claude answers stands in
an HTML comment before an example, `<!-- Claude: overloaded(), reply("hello") -->`: constructors of `llmclient.testing`,
or one function of the request. Where none stands it says "billing". What a line prints is compared with what the page
claims behind it: `print(…)  # → billing`.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import llmclient.testing
from llmclient import _ledger, _payment, cache
from llmclient.testing import FakeAnthropic, reply
from llmclient.testing._answers import Answer
from tests.llmclient.backend import Backend
from tests.llmclient.pages import ENTRY, PAGES, TEXTS, thing

BLOCK = re.compile(r"(?:<!-- Claude: (?P<script>.*?) -->\n\n)?^```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
CLAIM = re.compile(r"print\(.*\)  # → (.*)$")
LONGEST_PAGE = 130  # lines

ADDRESS = "https://llv_ing_your_key@vitals.example.com"
DIRECTORY = "/var/tmp/helpdesk-telemetry"
REDIS = "redis://cache.example.com:6379/0"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@dataclass(frozen=True)
class Example:
    line: int
    """Lines of the page before its code."""
    code: str
    answers: list[Any]
    """Claude's; or one function that gives them."""


def says_billing(_: object) -> Answer:
    return reply("billing")


def examples_of(page: Path) -> list[Example]:
    text = TEXTS[page]
    found = []
    for block in BLOCK.finditer(text):
        script = block["script"]
        answers = [says_billing] if script is None else eval(f"[{script}]", dict(vars(llmclient.testing)))
        found.append(Example(text.count("\n", 0, block.start("code")), block["code"], answers))
    assert len(found) == text.count("```python") > 0
    assert sum(example.answers != [says_billing] for example in found) == text.count("<!-- ")
    return found


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
    monkeypatch.setattr(_payment, "_IN_MEMORY", _ledger.Ledger())
    _payment.budgeting_of.cache_clear()
    printed = Printed()
    names: dict[str, Any] = {"print": printed, "__name__": page.stem}
    with FakeAnthropic() as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
        for example in examples_of(page):
            fake.script(*example.answers)
            code = example.code
            for written, real in places.items():
                code = code.replace(written, real)
            # The lines of the program are those of the page.
            exec(compile("\n" * example.line + code, page.name, "exec"), names)
    lines = enumerate(TEXTS[page].splitlines(), start=1)
    claims = {number: [found[1]] for number, line in lines if (found := CLAIM.search(line))}
    assert {number: printed.by_line[number] for number in claims} == claims


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
