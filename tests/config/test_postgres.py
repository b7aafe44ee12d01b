"""One healthy embedded server per data directory, whatever state the last one was left in."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from config import postgres
from config.complaints import one_line
from config.postgres import account, files, server
from config.postgres.files import PostgresError
from tests.config.asking import ROOT, alive, connect, eventually, hold, let_go, postmaster, rows, told_pid

pytestmark = pytest.mark.processes

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become another user")


@pytest.fixture
def data_dir(home: Path) -> Iterator[Path]:
    path = home / "postgres"
    yield path
    if pid := postmaster(path):
        os.kill(pid, signal.SIGQUIT)
        eventually(lambda: not alive(pid))
    shutil.rmtree(postgres.socket_dir(path), ignore_errors=True)


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))


@contextmanager
def bystander() -> Iterator[int]:
    """A living process that has nothing to do with PostgreSQL."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_the_address_is_named_without_touching_the_disk(tmp_path: Path) -> None:
    address = postgres.url(tmp_path / "none" / "postgres")
    assert address == f"postgres://postgres@/vitals?host={postgres.socket_dir(tmp_path / 'none' / 'postgres')}"
    assert list(tmp_path.iterdir()) == []


def test_the_socket_path_stays_short_however_deep_the_data_lies() -> None:
    deep = Path("/") / "/".join(["a" * 100] * 5)
    assert len(postgres.socket_dir(deep).name) == len("llm-vitals-") + 12


def test_a_fresh_start_makes_a_database_and_the_last_holder_stops_it(data_dir: Path) -> None:
    with postgres.running(data_dir):
        assert rows(data_dir, "SELECT current_database(), current_setting('server_version_num')::int >= 150000") == [
            ("vitals", True)
        ]
        pid = postmaster(data_dir)
        assert pid is not None
    assert not alive(pid)
    assert not postgres.socket_dir(data_dir).exists()


def test_what_was_written_is_there_at_the_next_start(data_dir: Path) -> None:
    with postgres.running(data_dir), connect(data_dir) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with postgres.running(data_dir):
        assert rows(data_dir, "SELECT answer FROM kept") == [(42,)]


def test_nobody_can_reach_the_server_over_the_network_or_without_the_directory(data_dir: Path) -> None:
    with postgres.running(data_dir):
        assert rows(data_dir, "SELECT current_setting('listen_addresses')") == [("",)]
        assert stat.S_IMODE(postgres.socket_dir(data_dir).stat().st_mode) == 0o700


def test_the_server_runs_with_our_settings(data_dir: Path) -> None:
    wanted = {
        "synchronous_commit": "on",
        "jit": "off",
        "TimeZone": "UTC",
        "max_connections": "40",
        "log_min_error_statement": "panic",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
    }
    with postgres.running(data_dir):
        found = {name: rows(data_dir, f"SELECT current_setting('{name}')")[0][0] for name in wanted}
    assert found == wanted


def test_a_setting_of_the_person_who_runs_it_wins(data_dir: Path) -> None:
    with postgres.running(data_dir):
        pass
    with (data_dir / "local.conf").open("a") as file:
        file.write("max_connections = 17\n")
    with postgres.running(data_dir):
        assert rows(data_dir, "SHOW max_connections") == [("17",)]


def test_no_value_of_a_row_reaches_the_log(data_dir: Path) -> None:
    with postgres.running(data_dir), connect(data_dir) as connection:
        connection.execute("CREATE TABLE secret (word text PRIMARY KEY)")
        connection.execute("INSERT INTO secret VALUES ('swordfish')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO secret VALUES (%s)", ["swordfish"])
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("SELECT 'swordfish'::int")
    assert "swordfish" not in data_dir.with_name("postgres.log").read_text()


def test_an_earlier_holder_leaves_the_server_running_for_the_others(data_dir: Path) -> None:
    other = hold(data_dir)
    pid = told_pid(other)
    with postgres.running(data_dir):
        assert postmaster(data_dir) == pid
    assert postmaster(data_dir) == pid
    let_go(other)
    assert not alive(pid)


def test_three_starters_at_once_share_one_server(data_dir: Path) -> None:
    holders = [hold(data_dir) for _ in range(3)]
    pids = {told_pid(holder) for holder in holders}
    assert pids == {postmaster(data_dir)}
    for holder in holders:
        let_go(holder)
    assert postmaster(data_dir) is None
    assert [holder.returncode for holder in holders] == [0, 0, 0]


def test_a_starter_that_comes_while_the_last_holder_stops_gets_a_living_server(data_dir: Path) -> None:
    for _ in range(5):
        other = hold(data_dir)
        told_pid(other)
        leaving = threading.Thread(target=let_go, args=[other])
        leaving.start()
        with postgres.running(data_dir):
            assert rows(data_dir, "SELECT 1") == [(1,)]
            leaving.join(30)
            assert rows(data_dir, "SELECT 1") == [(1,)]


def test_a_stale_pid_file_is_swept_away(data_dir: Path) -> None:
    with postgres.running(data_dir):
        kept = (data_dir / "postmaster.pid").read_text()
    process = subprocess.Popen(["true"])
    process.wait()
    (data_dir / "postmaster.pid").write_text(kept.replace(kept.split()[0], str(process.pid), 1))
    with postgres.running(data_dir):
        assert rows(data_dir, "SELECT 1") == [(1,)]


def test_a_pid_that_now_belongs_to_another_process_is_not_believed(data_dir: Path) -> None:
    with postgres.running(data_dir):
        kept = (data_dir / "postmaster.pid").read_text()
        lock = (postgres.socket_dir(data_dir) / ".s.PGSQL.5432.lock").read_text()
    with bystander() as pid:
        (data_dir / "postmaster.pid").write_text(kept.replace(kept.split()[0], str(pid), 1))
        postgres.socket_dir(data_dir).mkdir(mode=0o700)
        owner = data_dir.stat()
        os.chown(postgres.socket_dir(data_dir), owner.st_uid, owner.st_gid)
        reused = postgres.socket_dir(data_dir) / ".s.PGSQL.5432.lock"
        reused.write_text(lock.replace(lock.split()[0], str(pid), 1))
        with postgres.running(data_dir):
            assert rows(data_dir, "SELECT 1") == [(1,)]
        assert alive(pid)


def test_a_zombie_is_not_taken_for_a_server(data_dir: Path) -> None:
    with postgres.running(data_dir):
        kept = (data_dir / "postmaster.pid").read_text()
    zombie = subprocess.Popen(["true"])  # Not waited for: it stays a zombie until the end of the test.
    eventually(lambda: not alive(zombie.pid))
    (data_dir / "postmaster.pid").write_text(kept.replace(kept.split()[0], str(zombie.pid), 1))
    assert postmaster(data_dir) is None
    with postgres.running(data_dir):
        assert rows(data_dir, "SELECT 1") == [(1,)]
    zombie.wait()


def test_a_postmaster_that_was_killed_leaves_no_zombie_and_is_started_again(data_dir: Path) -> None:
    with postgres.running(data_dir):
        first = postmaster(data_dir)
        kill(first)
        eventually(lambda: not Path(f"/proc/{first}").exists())
        postgres.revive(data_dir)
        assert postmaster(data_dir) not in {None, first}
        assert rows(data_dir, "SELECT 1") == [(1,)]


def test_nothing_acknowledged_is_lost_when_the_server_is_killed_in_the_middle_of_writing(data_dir: Path) -> None:
    acknowledged = 0
    with postgres.running(data_dir):
        with connect(data_dir) as connection:
            connection.execute("CREATE TABLE written (number int PRIMARY KEY)")

        def write() -> None:
            nonlocal acknowledged
            try:
                with connect(data_dir) as connection:
                    for number in range(1, 1_000_000):
                        connection.execute("INSERT INTO written VALUES (%s)", [number])
                        acknowledged = number
            except psycopg.OperationalError:
                pass

        writer = threading.Thread(target=write)
        writer.start()
        eventually(lambda: acknowledged > 200)
        kill(postmaster(data_dir))
        writer.join(30)
        postgres.revive(data_dir)
        found = {row[0] for row in rows(data_dir, "SELECT number FROM written")}
    assert acknowledged > 200
    # The one that was on its way may have been committed without an answer.
    assert found - {acknowledged + 1} == set(range(1, acknowledged + 1))


def test_a_holder_killed_with_the_server_running_leaves_it_to_the_next_who_stops_it(data_dir: Path) -> None:
    first, second = hold(data_dir), hold(data_dir)
    pid = told_pid(first)
    told_pid(second)
    first.kill()
    first.communicate()
    with postgres.running(data_dir):
        assert postmaster(data_dir) == pid
        let_go(second)
        assert postmaster(data_dir) == pid
    assert not alive(pid)


def test_a_server_whose_holders_were_all_killed_is_stopped_by_its_keeper(data_dir: Path) -> None:
    holder = hold(data_dir)
    pid = told_pid(holder)
    holder.kill()
    holder.communicate()
    eventually(lambda: not alive(pid))
    assert "database system is shut down" in data_dir.with_name("postgres.log").read_text()
    with postgres.running(data_dir):
        assert rows(data_dir, "SELECT 1") == [(1,)]


def test_a_server_that_lost_its_keeper_is_joined_and_stopped_by_the_last_holder(data_dir: Path) -> None:
    holder = hold(data_dir)
    pid = told_pid(holder)
    keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    kill(keeper)
    holder.kill()
    holder.communicate()
    assert alive(pid)
    with postgres.running(data_dir):
        assert postmaster(data_dir) == pid
    eventually(lambda: not alive(pid))


def test_a_socket_that_a_cleaner_removed_is_made_again(data_dir: Path) -> None:
    with postgres.running(data_dir):
        (postgres.socket_dir(data_dir) / ".s.PGSQL.5432").unlink()
        with postgres.running(data_dir):
            assert rows(data_dir, "SELECT 1") == [(1,)]


def test_an_initdb_that_was_killed_does_not_look_like_a_database(data_dir: Path) -> None:
    draft = data_dir.with_name("postgres.new")
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    with postgres.running(data_dir):
        assert rows(data_dir, "SELECT 1") == [(1,)]
    assert not draft.exists()


def test_a_directory_with_something_else_in_it_is_left_alone(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "holiday.jpg").touch()
    with (
        pytest.raises(PostgresError, match="is not empty and is no PostgreSQL data directory"),
        postgres.running(data_dir),
    ):
        pass
    assert [path.name for path in data_dir.iterdir()] == ["holiday.jpg"]


def test_a_server_that_cannot_start_says_why_in_one_line(data_dir: Path) -> None:
    with postgres.running(data_dir):
        pass
    (data_dir / "local.conf").write_text("shared_buffers = 'many'\n")
    with pytest.raises(PostgresError) as caught, postgres.running(data_dir):
        pass
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("PostgreSQL cannot start: ")
    assert str(data_dir.with_name("postgres.log")) in str(caught.value)


def test_a_socket_directory_somebody_else_prepared_is_refused(data_dir: Path) -> None:
    trap = postgres.socket_dir(data_dir)
    trap.mkdir(mode=0o777)
    trap.chmod(0o777)
    with pytest.raises(PostgresError, match="is not a private directory of"), postgres.running(data_dir):
        pass
    trap.rmdir()
    trap.symlink_to(data_dir.parent)
    with pytest.raises(PostgresError, match="is not a private directory of"), postgres.running(data_dir):
        pass
    trap.unlink()


@as_root
def test_a_server_in_another_container_is_noticed_and_no_second_one_touches_its_files(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LAST_ONES_PATIENCE", 1.0)
    other = hold(data_dir, "unshare", "--pid", "--fork", "--mount-proc")
    told_pid(other)
    served = (data_dir / "postmaster.pid").read_text()
    assert postmaster(data_dir) is None  # Its pid means nothing here.
    with pytest.raises(PostgresError, match="perhaps in another container, uses"), postgres.running(data_dir):
        pass
    assert (data_dir / "postmaster.pid").read_text() == served
    assert rows(data_dir, "SELECT 1") == [(1,)]
    let_go(other)
    with postgres.running(data_dir):
        assert rows(data_dir, "SELECT 1") == [(1,)]


def test_processes_are_seen_the_same_without_proc() -> None:
    words = ["sleep", "600", *["0"] * 100]
    process = subprocess.Popen(words)
    try:
        eventually(lambda: server._process(process.pid)[1] == words)
        assert server._process_by_ps(process.pid) == ("S", words)
    finally:
        process.kill()
    eventually(lambda: not alive(process.pid))
    assert server._process_by_ps(process.pid)[0] == "Z"
    process.wait()
    assert server._process_by_ps(process.pid) == ("", [])


@as_root
def test_without_a_user_of_its_own_the_server_runs_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "SYSTEM_USER", "no-such-user-here")
    monkeypatch.setenv("PATH", "")
    assert account.unprivileged().name == "nobody"


@as_root
def test_started_by_root_the_server_runs_as_an_unprivileged_user(data_dir: Path) -> None:
    before = {parent: parent.stat().st_mode for parent in data_dir.parents}
    with postgres.running(data_dir):
        pid = postmaster(data_dir)
        assert pid is not None
        assert Path(f"/proc/{pid}").stat().st_uid == data_dir.stat().st_uid != 0
    assert {parent: parent.stat().st_mode for parent in data_dir.parents} == before


@as_root
def test_a_home_the_unprivileged_user_cannot_enter_stays_closed_and_the_data_lies_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SYSTEM_DIR", home / "system")
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "postgres"
    for _ in range(2):
        with postgres.running(data_dir):
            assert rows(data_dir, "SELECT 1") == [(1,)]
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert data_dir.readlink().parent == home / "system"


@as_root
def test_programs_the_unprivileged_user_cannot_run_are_copied_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SYSTEM_DIR", home / "system")
    package = files._package()
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package, closed / package.name, ignore=shutil.ignore_patterns("include", "*.a", "pginstall"))
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setattr(files, "_package", lambda: closed / package.name)
    data_dir = home / "postgres"
    for _ in range(2):
        with postgres.running(data_dir):
            pid = postmaster(data_dir)
            program = Path(f"/proc/{pid}/exe").resolve()
    assert (home / "system") in program.parents
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert [path.name for path in (home / "system").iterdir()] == [program.relative_to(home / "system").parts[0]]


NORMAL = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2].split(":")
import psycopg
from config import postgres
from config.complaints import one_line
data_dir = Path(sys.argv[1])
try:
    with postgres.running(data_dir), psycopg.connect(postgres.url(data_dir)) as connection:
        print(os.geteuid(), *connection.execute("SELECT 7").fetchone())
except Exception as error:
    sys.exit(one_line(error))
"""


@pytest.fixture
def as_normal_user(home: Path) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Hold the server of a data directory as an unprivileged user, in a process of its own."""
    python = _python_everybody_may_run(home)
    library_path = f"LD_LIBRARY_PATH={python.parents[1] / 'lib'}"
    packages = f"{ROOT}:{Path(psycopg.__file__).parents[1]}"

    def run(data_dir: Path) -> subprocess.CompletedProcess[str]:
        user = account.unprivileged()
        return user.run(Path("/usr/bin/env"), library_path, python, "-c", NORMAL, data_dir, packages)

    return run


@as_root
def test_it_works_as_a_normal_user(
    home: Path, as_normal_user: Callable[[Path], subprocess.CompletedProcess[str]]
) -> None:
    user = account.unprivileged()
    own = home / "own"
    own.mkdir()
    os.chown(own, user.uid, user.gid)
    answer = as_normal_user(own / "postgres")
    assert (answer.stdout.split(), answer.stderr) == ([str(user.uid), "7"], "")
    assert (own / "postgres").stat().st_uid == user.uid
    # Root joins as the owner of the data, and the owner can go on afterwards.
    with postgres.running(own / "postgres"):
        assert rows(own / "postgres", "SELECT 1") == [(1,)]
    assert as_normal_user(own / "postgres").stdout.split() == [str(user.uid), "7"]


@as_root
def test_a_directory_that_may_not_be_written_is_told_in_one_line(
    home: Path, as_normal_user: Callable[[Path], subprocess.CompletedProcess[str]]
) -> None:
    answer = as_normal_user(home / "postgres")
    assert answer.returncode == 1
    assert answer.stderr == (
        f"{home / 'postgres.holders'}: permission denied; give this user the right to write there,"
        " or set VITALS_HOME elsewhere\n"
    )


@as_root
@pytest.mark.parametrize("megabytes", [1, 50])
def test_a_full_disk_is_told_in_one_line(home: Path, megabytes: int) -> None:
    disk = home / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", disk], check=True)
    try:
        with pytest.raises((PostgresError, OSError)) as caught:
            _start_twice_and_fill_the_disk_between(disk)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    line = one_line(caught.value)
    assert line is not None
    assert "\n" not in line
    assert "disk is full" in line or "No space left" in line


def _start_twice_and_fill_the_disk_between(disk: Path) -> None:
    with postgres.running(disk / "postgres"):
        pass
    (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
    with postgres.running(disk / "postgres"):
        pass


def _python_everybody_may_run(home: Path) -> Path:
    """This interpreter, or a copy of it where its own place admits its owner only."""
    base = Path(sys.base_prefix)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if account.unprivileged().can("-x", base / "bin" / name):
        return base / "bin" / name
    copy = home / "python"
    shutil.copytree(
        base / "lib" / name, copy / "lib" / name, ignore=shutil.ignore_patterns("site-packages", "test", "__pycache__")
    )
    for library in (base / "lib").glob("libpython*.so*"):
        shutil.copy(library, copy / "lib" / library.name)
    (copy / "bin").mkdir()
    shutil.copy(base / "bin" / name, copy / "bin" / name)
    return copy / "bin" / name
