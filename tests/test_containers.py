"""The image and the compose file, as far as they can be held without a container engine: what they name is there."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = (ROOT / "docker-compose.yml").read_text()


def commands(word: str, text: str) -> list[list[str]]:
    """The JSON lists that follow a word at the beginning of a line; one may go over several lines."""
    return [json.loads(found) for found in re.findall(rf"^\s*{word}:? (\[.*?\])$", text, re.MULTILINE | re.DOTALL)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of the image: what COPY puts there, and nothing else."""
    place = tmp_path_factory.mktemp("image")
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    for source, target in re.findall(r"^COPY ([\w.]+) (\S+)$", final, re.MULTILINE):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, place / target)
    return place


def run(image: Path, *command: str, **environment: str) -> str:
    kept = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, cwd=image, env=kept | environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_image_holds_every_package_of_the_product(image: Path) -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    missing = [name for name in packages if not (image / name / "__init__.py").exists()]
    assert missing == []


def test_the_step_that_builds_the_image_collects_the_files_of_the_browser(image: Path, tmp_path: Path) -> None:
    step = re.search(r"^RUN (SECRET_KEY=.*?) python manage.py collectstatic --noinput", DOCKERFILE, re.MULTILINE)
    assert step is not None
    environment = dict(word.split("=", 1) for word in step[1].split())
    # That the files can be put into shape is known from every start of the product; here it is whether they are there.
    step_dry = ("python", "manage.py", "collectstatic", "--noinput", "--dry-run")
    collected = run(image, *step_dry, **environment | {"VITALS_HOME": str(tmp_path)})
    own = {path.name for path in (ROOT / "static").iterdir()}
    here = re.escape(str(image / "static"))
    assert own <= set(re.findall(rf"^Pretending to copy '{here}/(.+)'$", collected, re.MULTILINE))
    assert re.search(r"^Pretending to copy '.+/plotly[\w.-]+\.js'$", collected, re.MULTILINE)


def test_what_the_containers_start_is_there(image: Path, tmp_path: Path) -> None:
    (web,) = commands("CMD", DOCKERFILE)
    migrate, worker, beat = (words for words in commands("command", COMPOSE) if words[0] in {"python", "celery"})
    assert migrate[:3] == ["python", "manage.py", "migrate"]
    assert worker[:4] == ["celery", "-A", "config.celery", "worker"]
    assert beat == ["python", "-m", "config.beat"]
    settings = {
        "SECRET_KEY": "for tests only",
        "DATABASE_URL": "postgres://none@none/none",
        "CELERY_BROKER_URL": "redis://none:6379/0",
        "VITALS_HOME": str(tmp_path),
    }
    for words, asked in ((web, web[:1]), (worker, worker[:4])):
        known = run(image, *asked, "--help", **settings)
        assert [word for word in words if word.startswith("--") and word not in known] == []
    run(image, "python", "-c", "import config.wsgi, config.beat", **settings)


def test_what_the_compose_file_sets_is_a_setting_or_its_own() -> None:
    known = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    own = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}
    assert set(re.findall(r"^\s+([A-Z][A-Z_]+):", COMPOSE, re.MULTILINE)) - known == own
    asked = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    assert asked - known == {"POSTGRES_PASSWORD", "HTTP_ADDRESS", "HTTP_PORT"}


def test_no_container_gains_rights_and_only_this_machine_reaches_the_one_port() -> None:
    services = re.split(
        r"^  (?=\w+:$)", COMPOSE.partition("\nservices:\n")[2].partition("\nvolumes:")[0], flags=re.MULTILINE
    )
    for service in filter(str.strip, services):
        assert "<<: *app" in service or 'security_opt: ["no-new-privileges:true"]' in service, service
    assert re.findall(r"^ +ports: (.*)$", COMPOSE, re.MULTILINE) == [
        '["${HTTP_ADDRESS:-127.0.0.1}:${HTTP_PORT:-8000}:8000"]'
    ]
    app = COMPOSE.partition("x-after-migrate")[0]
    for line in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]'):
        assert f"\n  {line}\n" in app


def test_secrets_of_an_installation_are_in_no_commit_and_no_image() -> None:
    for name in (".gitignore", ".dockerignore"):
        listed = (ROOT / name).read_text().splitlines()
        assert ".env" in {line.strip("/") for line in listed}
