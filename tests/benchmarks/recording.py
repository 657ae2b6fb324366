"""The floors' SQL: what the services execute, recorded in a dry run: a floor does the same by construction.

A recording holds every statement with its parameters, the pipelines and the commits. The parameters of all batches are
laid end to end, so that a floor of bare clients can take the rows of the next n items, whatever n turns out to be.
"""

import pickle
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline
from psycopg.abc import Params
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb, set_json_dumps
from typing_extensions import override

from services.kernel.database import Connection, Database, recordset


def json_as_the_services() -> None:
    """Let psycopg write JSON with orjson, as `services.kernel.database` does."""
    set_json_dumps(orjson.dumps)


PIPELINE, END, EXECUTE, MANY, COMMIT = "pipeline", "end", "execute", "many", "commit"


@dataclass(frozen=True)
class Operation:
    """One thing that a service did with its connection."""

    kind: str
    query: str = ""
    parameters: Any = None


class RecordingCursor(AsyncCursor[TupleRow]):
    """Notes what is executed."""

    @override
    async def execute(self, query: Any, params: Params | None = None, **options: Any) -> "RecordingCursor":
        _notes(self.connection).append(Operation(EXECUTE, _text(query), params))
        await super().execute(query, params, **options)
        return self

    @override
    async def executemany(self, query: Any, params_seq: Any, *, returning: bool = False) -> None:
        rows = list(params_seq)
        _notes(self.connection).append(Operation(MANY, _text(query), rows))
        await super().executemany(query, rows, returning=returning)


class RecordingConnection(AsyncConnection[TupleRow]):
    """Notes pipelines."""

    notes: list[Operation]

    @override
    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[AsyncPipeline]:
        self.notes.append(Operation(PIPELINE))
        async with super().pipeline() as pipeline:
            yield pipeline
        self.notes.append(Operation(END))


def _notes(connection: Any) -> list[Operation]:
    found: list[Operation] = connection.notes
    return found


class RecordingDatabase(Database):
    """A database of one connection that notes everything; `batches` has one list for each transaction."""

    def __init__(self, conn: RecordingConnection) -> None:
        self._conn = conn
        self.batches: list[list[Operation]] = []

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator["RecordingDatabase"]:
        """Connect, and close afterwards."""
        json_as_the_services()
        conn = await RecordingConnection.connect(url, cursor_factory=RecordingCursor)
        conn.notes = []
        try:
            yield cls(conn)
        finally:
            await conn.close()

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        self._conn.notes = []
        try:
            yield self._conn
        except BaseException:
            await self._conn.rollback()
            raise
        self._conn.notes.append(Operation(COMMIT))
        await self._conn.commit()
        self.batches.append(self._conn.notes)

    @override
    async def wait(self) -> None:
        return None


@dataclass
class Column:
    """A parameter over all items: an array, rows of JSON, a recordset, or the same value for all."""

    kind: str
    values: list[Any]

    def portion(self, start: float, end: float) -> Any:
        """Return the parameter for a share of all items."""
        if self.kind == "same":
            return self.values[0]
        count = len(self.values)
        part = self.values[round(start * count) : round(end * count)]
        if self.kind == "recordset":
            return recordset(part)
        return Jsonb(part) if self.kind == "json" else part


@dataclass
class Step:
    """An operation with its parameters over all items."""

    kind: str
    query: str = ""
    names: tuple[str, ...] | None = None
    columns: list[Column] = field(default_factory=list)


@dataclass
class Script:
    """What a service does for `count` items."""

    count: int
    steps: list[Step]

    def portion(self, first: int, number: int) -> list[Operation]:
        """Return what is done for `number` items from `first` on."""
        start, end = first / self.count, (first + number) / self.count
        return [Operation(step.kind, step.query, _parameters(step, start, end)) for step in self.steps]

    def save(self, path: Path) -> Path:
        """Write it for the floor's process."""
        path.write_bytes(pickle.dumps(self))
        return path

    @staticmethod
    def load(path: Path) -> "Script":
        """Read what `save` wrote."""
        found: Script = pickle.loads(path.read_bytes())  # noqa: S301 - our own file
        return found


def _parameters(step: Step, start: float, end: float) -> Any:
    if not step.columns:
        return None
    values = [column.portion(start, end) for column in step.columns]
    if step.kind == MANY:
        return values[0]
    return dict(zip(step.names, values, strict=True)) if step.names else values


def script(batches: Sequence[Sequence[Operation]], count: int) -> Script:
    """Lay recorded batches end to end. All do the same, though some may leave a statement out."""
    model = max(batches, key=len)
    steps = [Step(item.kind, item.query) for item in model]
    places = {key: place for place, key in enumerate(_keys(model))}
    for batch in batches:
        for key, item in zip(_keys(batch), batch, strict=True):
            if key in places and item.parameters is not None:
                _extend(steps[places[key]], item.parameters)
    return Script(count, [step for step in steps if step.kind != EXECUTE or step.columns or _bare(step)])


def _bare(step: Step) -> bool:
    return "%" not in step.query


def _keys(batch: Sequence[Operation]) -> list[tuple[str, str, int]]:
    seen: dict[tuple[str, str], int] = {}
    found = []
    for item in batch:
        at = (item.kind, item.query)
        seen[at] = seen.get(at, -1) + 1
        found.append((*at, seen[at]))
    return found


def _extend(step: Step, parameters: Any) -> None:
    if step.kind == MANY:
        step.columns = step.columns or [Column("array", [])]
        step.columns[0].values += parameters
        return
    if isinstance(parameters, Mapping):
        step.names, parameters = tuple(parameters), list(parameters.values())
    if not step.columns:
        step.columns = [Column(_kind(step.query, value), []) for value in parameters]
    for column, value in zip(step.columns, parameters, strict=True):
        if column.kind == "same":
            column.values = column.values or [value]
        else:
            column.values += _rows(column.kind, value)


def _rows(kind: str, value: Any) -> Any:
    if kind == "recordset":
        return orjson.loads(value)
    return value.obj if kind == "json" else value


def _text(query: Any) -> str:
    return query.decode() if isinstance(query, bytes) else str(query)


def _kind(query: str, value: Any) -> str:
    if isinstance(value, str) and value.startswith("[") and "json_to_recordset" in query:
        return "recordset"
    if isinstance(value, Jsonb) and isinstance(value.obj, list):
        return "json"
    return "array" if isinstance(value, list) else "same"


async def perform(conn: Connection, operations: Sequence[Operation]) -> None:
    """Do what was recorded, and read all that comes back."""
    waiting: list[AsyncCursor[TupleRow]] = []
    pipeline: Any = None
    for item in operations:
        if item.kind == PIPELINE:
            pipeline = conn.pipeline()
            await pipeline.__aenter__()
        elif item.kind == END:
            await pipeline.__aexit__(None, None, None)
            pipeline = None
        elif item.kind == EXECUTE:
            waiting.append(await conn.execute(item.query.encode(), item.parameters))
        elif item.kind == MANY:
            async with conn.cursor() as cursor:
                await cursor.executemany(item.query.encode(), item.parameters)
        if pipeline is None:
            for cursor in waiting:
                if cursor.description is not None:
                    await cursor.fetchall()
            waiting.clear()
