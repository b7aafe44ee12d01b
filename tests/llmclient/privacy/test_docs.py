"""docs/privacy.md says what is true."""

import re
from pathlib import Path

from llmclient._privacy._detectors import DETECTORS
from llmclient._privacy._redact import Redactor
from tests.llmclient.privacy import corpus

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "privacy.md").read_text()


def test_the_figures_are_those_of_the_corpus() -> None:
    report = "\n".join(corpus.report(corpus.measure(Redactor(), list(corpus.samples()))))
    for line in report.splitlines():
        assert line in TEXT


def test_every_kind_that_is_removed_is_described() -> None:
    assert [each.kind for each in DETECTORS if f"`[{each.kind}]`" not in TEXT] == []


def test_every_example_can_be_read() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    for block in blocks:
        compile(block, "docs/privacy.md", "exec")
