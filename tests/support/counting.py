"""How much work something is: statements that are sent, hashes that are made and compared. No clock is asked."""

import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

from typing_extensions import override

from services.kernel.database import Connection, Database


class CountedDatabase(Database):
    """A database that counts the statements that are sent over it, by how they begin."""

    def __init__(self, database: Database) -> None:
        self.statements = Counter[str]()
        self._database = database

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Yield a connection that counts."""
        async with self._database.transaction() as conn:
            yield cast("Connection", _Counting(conn, self.statements))


class _Counting:
    """A connection or a cursor; what is not counted is passed on."""

    def __init__(self, sends: Any, statements: Counter[str]) -> None:
        self._sends, self._statements = sends, statements

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sends, name)

    async def execute(self, query: Any, *values: Any, **options: Any) -> Any:
        self._statements[str(query)[:40]] += 1
        return await self._sends.execute(query, *values, **options)

    def cursor(self, *values: Any, **options: Any) -> Any:
        return _Counting(self._sends.cursor(*values, **options), self._statements)


@contextmanager
def hashing() -> Iterator[Counter[str]]:
    """Count the keyed hashes that are made and compared within the block, in this thread."""
    done = Counter[str]()

    def seen(_frame: object, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ in {"hmac_digest", "compare_digest"}:
            done[called.__name__] += 1

    sys.setprofile(seen)
    try:
        yield done
    finally:
        sys.setprofile(None)
