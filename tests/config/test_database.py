"""The user's own server is looked at before anything starts."""

import socket
import struct
import threading
from collections.abc import Iterator

import psycopg
import pytest

from config import database
from config.postgres.files import PostgresError
from tests.config.asking import free_port


@pytest.fixture
def old_server() -> Iterator[str]:
    """A socket that greets like PostgreSQL 14.11 and then hears nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def message(kind: bytes, body: bytes) -> bytes:
            return kind + struct.pack(">i", len(body) + 4) + body

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                (length,) = struct.unpack(">i", connection.recv(4))
                connection.recv(length - 4)
                connection.sendall(
                    message(b"R", struct.pack(">i", 0))
                    + message(b"S", b"server_version\x0014.11\x00")
                    + message(b"S", b"client_encoding\x00UTF8\x00")
                    + message(b"K", struct.pack(">ii", 1, 1))
                    + message(b"Z", b"I")
                )
                connection.recv(64)

        thread = threading.Thread(target=greet)
        thread.start()
        yield f"postgres://old@127.0.0.1:{listener.getsockname()[1]}/old?sslmode=disable&gssencmode=disable"
        thread.join(10)


def test_a_server_older_than_15_is_refused_in_one_line(old_server: str) -> None:
    with pytest.raises(PostgresError) as caught:
        database.check(old_server)
    assert str(caught.value) == "The server in DATABASE_URL is PostgreSQL 14; LLM Vitals needs 15 or newer."


@pytest.mark.parametrize("url", ["mysql://me@127.0.0.1/x", "just words", "postgres://127.0.0.1/x?colour=blue"])
def test_an_address_that_is_none_is_told_so(url: str) -> None:
    with pytest.raises(PostgresError, match=r"^DATABASE_URL is not an address like postgres://"):
        database.check(url)


def test_a_server_that_is_not_there_is_noticed() -> None:
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        database.check(f"postgres://nobody@127.0.0.1:{free_port()}/none")
