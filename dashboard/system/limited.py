"""A time limit of their own for the statements of a block, set in the same trip to the database."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def limited(ms: int) -> Iterator[None]:
    """Have each statement of the block end after so many milliseconds, with an OperationalError."""

    def execute(run: Callable[..., Any], sql: str, params: object, many: bool, context: Mapping[str, Any]) -> Any:
        if many:
            return run(sql, params, many, context)
        # Two statements sent as one are one transaction, and the limit ends with it.
        result = run(f"SET LOCAL statement_timeout = {ms:d}; {sql}", params, many, context)
        context["cursor"].nextset()
        return result

    with connection.execute_wrapper(execute):
        yield
