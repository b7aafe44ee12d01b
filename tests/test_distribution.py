"""What an application gets when it installs the distribution: the client, and the SDK it measures."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    [built] = folder.glob("llm_vitals-*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_the_client_its_types_and_nothing_of_the_server(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {name.split("/")[0] for name in names} == {"llmclient", f"llm_vitals-{PROJECT['version']}.dist-info"}
    assert "llmclient/py.typed" in names
    assert "llmclient/prices.json" in names
    assert "llmclient/testing/__init__.py" in names


def test_only_the_sdk_is_required(wheel: zipfile.ZipFile) -> None:
    metadata = wheel.read(f"llm_vitals-{PROJECT['version']}.dist-info/METADATA").decode()
    required = [line for line in re.findall(r"^Requires-Dist: (.+)$", metadata, re.MULTILINE) if "extra ==" not in line]
    assert [re.sub(r"\s", "", line) for line in required] == ["anthropic<3,>=2"]


def test_the_version_is_said_once_more_only_by_the_client() -> None:
    assert f'"{PROJECT["version"]}"' in (ROOT / "llmclient" / "_version.py").read_text()
