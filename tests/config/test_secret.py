"""What only the owner of the installation may read."""

import stat
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from config import prepare, secret


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("before", [None, 0o755])
def test_the_folder_of_the_mails_is_closed_to_others_also_when_it_was_open(
    settings: Settings, tmp_path: Path, before: int | None
) -> None:
    mails = tmp_path / "home" / "mails"
    if before is not None:
        mails.mkdir(mode=before, parents=True)
    settings.EMAIL_FILE_PATH = str(mails)
    prepare.close_mails()
    assert mode(mails) == 0o700


def test_a_key_is_made_once_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "secret_key"
    made = secret.stored(path)
    assert len(made) == 67
    assert secret.stored(path) == made
    assert mode(path) == 0o600
    assert list(path.parent.iterdir()) == [path]
