"""What a caller is told is wrong: the place of a field, and text that nothing can store."""

from typing import Annotated, Literal

import httpx2
import psycopg
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, Field, StringConstraints

from services.kernel import problems
from services.kernel.security import Reason


class Pair(BaseModel):
    """One of several."""

    entry: Annotated[str, StringConstraints(min_length=1)]


class Order(BaseModel):
    """A word or a list."""

    rows: Literal["certain"] | Annotated[list[Pair], Field(min_length=1)]
    reason: Reason = "x"


def app() -> FastAPI:
    found = FastAPI()
    problems.install(found)

    @found.post("/orders")
    async def order(body: Order) -> Order:
        return body

    @found.get("/nul")
    async def nul() -> None:
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")

    @found.get("/range")
    async def range_() -> None:
        raise psycopg.errors.NumericValueOutOfRange("integer out of range")

    return found


async def ask(method: str, path: str, body: object = None) -> tuple[int, list[tuple[str, str]]]:
    transport = httpx2.ASGITransport(app=app(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.request(method, path, json=body)
        return answer.status_code, [(one["field"], one["code"]) for one in answer.json().get("errors", ())]


async def test_a_field_is_named_by_its_place_alone() -> None:
    status, wrong = await ask("POST", "/orders", {"rows": [{"entry": ""}]})
    assert (status, {field for field, _ in wrong}) == (422, {"/body/rows", "/body/rows/0/entry"})


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 201, "nul\x00"])
async def test_a_reason_that_is_no_line_is_refused_by_its_name(reason: str) -> None:
    assert await ask("POST", "/orders", {"rows": "certain", "reason": reason}) == (
        422,
        [("/body/reason", "reason.invalid")],
    )


async def test_text_that_cannot_be_stored_is_the_callers_and_other_data_errors_are_ours() -> None:
    assert await ask("GET", "/nul") == (422, [("", "text.nul")])
    assert (await ask("GET", "/range"))[0] == 500
