"""What the package offers, and what it does not drag along."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import llmclient

ROOT = Path(__file__).resolve().parents[2]


def run(program: str) -> str:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_everything_offered_is_there_and_nothing_else_is_public() -> None:
    offered = {name: getattr(llmclient, name) for name in llmclient.__all__}
    assert len(offered) == len(llmclient.__all__) == 40
    assert sorted(llmclient.__all__) == list(llmclient.__all__)
    public = {name for name in vars(llmclient) if not name.startswith("_")}
    modules = {name for name in public if type(getattr(llmclient, name)).__name__ == "module"}
    helpers = {"TYPE_CHECKING", "Any", "Callable", "Capture", "Iterable", "LAZY", "TypeVar", "C"}
    assert public - modules <= {*llmclient.__all__, *helpers}


def test_what_is_not_offered_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Shipper'"):
        llmclient.Shipper  # noqa: B018


def exceptions() -> list[type[BaseException]]:
    offered = [getattr(llmclient, name) for name in llmclient.__all__]
    return [each for each in offered if isinstance(each, type) and issubclass(each, BaseException)]


@pytest.mark.parametrize("exception", exceptions(), ids=lambda exception: exception.__name__)
def test_our_exceptions_are_the_sdks(exception: type[BaseException]) -> None:
    import anthropic

    assert issubclass(exception, anthropic.AnthropicError)
    assert issubclass(exception, llmclient.LLMError)


def test_there_are_thirteen_exceptions() -> None:
    assert len(exceptions()) == 13


def test_importing_loads_neither_the_sdk_nor_an_http_client() -> None:
    loaded = run("import sys, llmclient; print([m for m in ('anthropic', 'httpx2', 'pydantic') if m in sys.modules])")
    assert loaded == "[]"


def test_the_client_works_where_nothing_of_the_server_is_installed() -> None:
    program = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"django", "celery", "msgspec", "rest_framework", "orjson", "psycopg", "config",
                                      "projects", "ingest", "metrics", "budgets", "alerting", "dashboard"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
import anthropic, llmclient
from llmclient.testing import FakeAnthropic, reply
llmclient.configure("http://llv_ing_k@127.0.0.1:9")
with FakeAnthropic([reply("works")]) as fake, llmclient.context() as call:
    llm = llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=fake.url))
    message = llm.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=[{"role": "user", "content": "?"}])
llmclient.flush(1)
print(message.content[0].text, call.source)
"""
    assert run(program) == "works api"


def test_the_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert llmclient.__version__ == project["version"]


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "llmclient" / "py.typed").exists()
