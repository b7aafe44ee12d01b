"""The whole product with one command: it starts, it heals, it stops, and it says plainly why it cannot."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from config import postgres
from tests.config.asking import ROOT, alive, eventually, free_port, postmaster, rows, serves

pytestmark = pytest.mark.processes


@dataclass
class Product:
    """A running `manage.py up`."""

    home: Path
    port: int
    process: "subprocess.Popen[str]"
    said: Path

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"GET /admin/login/ HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
                return connection.recv(64).split()[1:2] == [b"200"]
        except OSError:
            return False

    def told(self) -> str:
        return self.said.read_text()

    def members(self) -> dict[str, int]:
        """The pids of the tree, by name."""
        found = {"postmaster": postmaster(self.home / "postgres") or 0}
        for child in psutil.Process(self.process.pid).children():
            words = command_line(child)
            for part, name in (("granian", "web"), ("config.beat", "beat"), ("celery", "worker")):
                if part in words:
                    found[name] = child.pid
        return found

    def everything(self) -> list[psutil.Process]:
        """Every process that belongs to this home, however it is related."""
        own = psutil.Process(self.process.pid).children(recursive=True)
        server = postmaster(self.home / "postgres")
        if server:
            own += [psutil.Process(server), *psutil.Process(server).parents()[:1]]
            own += psutil.Process(server).children()
        return [process for process in own if process.pid != 1]


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # It ended this moment, or is a zombie.
        return ""


def are_gone(processes: list[psutil.Process]) -> bool:
    return not any(alive(process.pid) for process in processes)


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "CELERY_BROKER_URL"}}
    return {**kept, "VITALS_HOME": str(home), **more}


def run_up(home: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """`manage.py up` that is expected to give up by itself."""
    command = [sys.executable, str(ROOT / "manage.py"), "up", *words]
    return subprocess.run(command, env=environment(home, **more), capture_output=True, text=True, timeout=120)


@contextmanager
def up(home: Path, **more: str) -> Iterator[Product]:
    port, said = free_port(), home / "said"
    command = [sys.executable, str(ROOT / "manage.py"), "up", "--port", str(port)]
    with said.open("w") as output:
        process = subprocess.Popen(command, env=environment(home, **more), stdout=output, stderr=output, text=True)
    product = Product(home, port, process, said)
    try:
        eventually(lambda: "Ctrl-C stops everything" in product.told() or process.poll() is not None, seconds=120)
        assert process.poll() is None, product.told()
        yield product
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture(scope="module")
def lasting_home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="vitals-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def installed(lasting_home: Path) -> Path:
    """A home that was started once, so that later starts are quick."""
    with up(lasting_home) as product:
        first = product.told()
    (lasting_home / "first-words").write_text(first)
    return lasting_home


def test_the_first_start_shows_address_login_and_place_of_the_data(installed: Path) -> None:
    words = (installed / "first-words").read_text()
    assert re.search(r"Open     http://127\.0\.0\.1:\d+\n", words)
    assert re.search(r"Log in   admin / [\w-]{16}\n", words)
    assert f"Data     embedded PostgreSQL in {installed}\n" in words
    assert "Ctrl-C stops everything." in words


def test_a_later_start_shows_no_password_and_stopping_leaves_nothing(installed: Path) -> None:
    with up(installed) as product:
        assert product.answers()
        assert "Log in   admin / your password\n" in product.told()
        everything = product.everything()
        assert set(product.members()) == {"postmaster", "web", "worker", "beat"}
        product.process.send_signal(signal.SIGTERM)
        assert product.process.wait(60) == 0
        eventually(lambda: are_gone(everything))
    assert product.told().rstrip().endswith("Stopped.")
    assert not postgres.socket_dir(installed / "postgres").exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", product.port)) != 0


def test_ctrl_c_stops_everything(installed: Path) -> None:
    with up(installed) as product:
        everything = product.everything()
        product.process.send_signal(signal.SIGINT)
        assert product.process.wait(60) == 0
        eventually(lambda: are_gone(everything))


def test_whatever_is_killed_comes_back(installed: Path) -> None:
    with up(installed) as product:
        for name in ("web", "worker", "beat", "postmaster"):
            before = product.members()
            os.kill(before[name], signal.SIGKILL)
            eventually(lambda name=name, before=before: product.members().get(name, 0) not in {0, before[name]})  # type: ignore[misc]
            eventually(product.answers)
            others = {key: pid for key, pid in product.members().items() if key != name}
            assert others == {key: pid for key, pid in before.items() if key != name}
        eventually(lambda: serves(installed / "postgres"))


def test_a_database_that_cannot_start_is_tried_again_until_a_person_mends_it(installed: Path) -> None:
    own = installed / "postgres" / "local.conf"
    with up(installed) as product:
        own.write_text("shared_buffers = 'many'\n")
        os.kill(product.members()["postmaster"], signal.SIGKILL)
        eventually(lambda: "PostgreSQL cannot start" in product.told())
        own.write_text("")
        eventually(lambda: serves(installed / "postgres"))
        assert product.answers()


def test_the_jobs_go_on_after_the_worker_was_killed(installed: Path) -> None:
    runs = "SELECT coalesce(sum(fence), 0) FROM config_job"
    with up(installed) as product:
        os.kill(product.members()["worker"], signal.SIGKILL)
        rows(installed / "postgres", "UPDATE config_job SET due_at = now(), lease_until = NULL RETURNING name")
        (before,) = rows(installed / "postgres", runs)[0]
        eventually(lambda: rows(installed / "postgres", runs)[0][0] > before, seconds=60)  # type: ignore[operator]


def test_a_killed_supervisor_leaves_nothing_running(installed: Path) -> None:
    with up(installed) as product:
        everything = product.everything()
        assert len(everything) > 8
        product.process.kill()
        product.process.wait()
        eventually(lambda: are_gone(everything), seconds=60)
    with up(installed) as product:
        assert product.answers()


def test_a_second_ctrl_c_does_not_wait_for_a_process_that_hangs(installed: Path) -> None:
    with up(installed) as product:
        everything, members = product.everything(), product.members()
        os.kill(members["worker"], signal.SIGSTOP)
        product.process.send_signal(signal.SIGINT)
        eventually(lambda: not alive(members["beat"]))
        product.process.send_signal(signal.SIGINT)
        assert product.process.wait(60) == 0
        eventually(lambda: are_gone(everything))
        assert "did not end in time" not in product.told()


def test_a_process_that_hangs_is_killed_in_the_end(installed: Path) -> None:
    with up(installed) as product:
        everything = product.everything()
        worker = psutil.Process(product.members()["worker"])
        worker.suspend()
        eventually(lambda: worker.status() == psutil.STATUS_STOPPED)
        product.process.send_signal(signal.SIGTERM)
        assert product.process.wait(60) == 0
        eventually(lambda: are_gone(everything))
        assert "worker did not end in time" in product.told()


def test_your_own_server_is_used_and_no_other_is_started(installed: Path, home: Path) -> None:
    with postgres.running(installed / "postgres"):
        with up(home, DATABASE_URL=postgres.url(installed / "postgres")) as product:
            assert "Data     your own PostgreSQL (DATABASE_URL), files in" in product.told()
            assert set(product.members()) == {"postmaster", "web", "worker", "beat"}
            assert product.answers()
        assert rows(installed / "postgres", "SELECT 1") == [(1,)]
    assert not (home / "postgres").exists()


def test_a_taken_port_is_told_in_one_line_before_anything_starts(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = run_up(home, "--port", str(port))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        f"Port {port} is taken by another program. Stop that program, or choose a port: HTTP_PORT={port + 1} with make,"
        f" --port {port + 1} with manage.py up.\n"
    )
    assert not (home / "postgres").exists()


def test_a_second_one_on_the_same_home_is_refused(installed: Path) -> None:
    with up(installed):
        answer = run_up(installed, "--port", str(free_port()))
    assert answer.returncode == 1
    assert answer.stderr == f"LLM Vitals already runs on {installed}. Stop it first, or set VITALS_HOME.\n"


def test_an_address_of_another_machine_is_told_in_one_line(home: Path) -> None:
    answer = run_up(home, "--host", "192.0.2.1")
    assert answer.returncode == 1
    assert answer.stderr == "192.0.2.1 is no address of this machine. Use --host 127.0.0.1, or 0.0.0.0 for all.\n"


def test_an_unreachable_database_is_told_in_one_line(home: Path) -> None:
    url = f"postgres://vitals@127.0.0.1:{free_port()}/vitals"
    answer = run_up(home, "--port", str(free_port()), DATABASE_URL=url)
    assert answer.returncode == 1
    assert answer.stderr == (
        "The database cannot be reached: Connection refused. Check DATABASE_URL and that the server runs.\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to mount a file system")
def test_a_home_that_cannot_be_written_is_told_in_one_line(home: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", home], check=True)
    try:
        answer = run_up(home, "--port", str(free_port()))
    finally:
        subprocess.run(["umount", home], check=True)
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stderr.endswith("the file system is read-only; set VITALS_HOME elsewhere\n")


def test_a_login_of_the_demo_is_kept_in_a_file_of_its_owner(installed: Path) -> None:
    answers = [
        subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "prepare"],
            env=environment(installed, DEMO="on"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert stat.S_IMODE((installed / "demo-login").stat().st_mode) == 0o600
    assert (installed / "demo-login").read_text() in answers[0]
