"""Settings are honest: each variable is read once and written down once."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_variable_the_settings_read_is_in_the_example_and_no_other() -> None:
    read = re.findall(r"""env\.\w+\(\s*"([A-Z_]+)\"""", (ROOT / "config/settings.py").read_text())
    written = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    assert len(read) == len(set(read))
    assert sorted(written) == sorted(read)


def settings_with(**environment: str) -> dict[str, str]:
    """Every setting, as a process reads it that has only these variables."""
    program = "from config import settings as s; [print(n, repr(getattr(s, n))) for n in dir(s) if n.isupper()]"
    kept = {"PATH": os.environ["PATH"], "SECRET_KEY": "for tests only"}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, cwd=ROOT, env=environment | kept, capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in said.splitlines())


def test_the_example_as_it_is_changes_nothing() -> None:
    example = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    default = settings_with()
    assert default["VITALS_HOME"] == repr(ROOT / "var" / "vitals")
    assert settings_with(**dict(example)) == default


def test_the_lock_files_name_no_address_and_hash_everything() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        for requirement in re.split(r"\n(?=\S)", text.strip()):
            assert re.match(r"[a-z0-9-]+==\S+", requirement), requirement
            assert "--hash=sha256:" in requirement, requirement
