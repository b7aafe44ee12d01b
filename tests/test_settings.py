"""Settings are honest: each variable is read once and written down once."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_variable_the_settings_read_is_in_the_example_and_no_other() -> None:
    read = re.findall(r"""env\.\w+\(\s*"([A-Z_]+)\"""", (ROOT / "config/settings.py").read_text())
    written = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    assert len(read) == len(set(read))
    assert sorted(written) == sorted(read)


def test_the_lock_files_name_no_address_and_hash_everything() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        for requirement in re.split(r"\n(?=\S)", text.strip()):
            assert re.match(r"[a-z0-9-]+==\S+", requirement), requirement
            assert "--hash=sha256:" in requirement, requirement
