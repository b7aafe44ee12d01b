"""The PostgreSQL server of this machine that tests may use, if there is one."""

import os

import psycopg

CANDIDATES = (
    "postgres://postgres@127.0.0.1:5432/postgres",
    "postgres:///postgres?host=/var/run/postgresql",
)


def find() -> str:
    """The URL of the first that is new enough and lets its user make databases; empty when there is none."""
    for url in filter(None, (os.environ.get("SYSTEM_DATABASE_URL"), *CANDIDATES)):
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                row = connection.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = user").fetchone()
                version = connection.info.server_version
        except psycopg.Error:
            continue
        if row and row[0] and version >= 150_000:
            return url
    return ""
