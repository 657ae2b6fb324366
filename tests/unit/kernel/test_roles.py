"""Roles and the break-glass reason: what the token and the header together permit."""

from collections.abc import Iterable
from urllib.parse import quote

import pytest
from fastapi import Request

from services.kernel.problems import ProblemError
from services.kernel.security import (
    ACTIVATE_OWN,
    BREAK_GLASS,
    READ_OWN,
    READ_PROTECTED,
    REASON_HEADER,
    RIGHTS,
    Principal,
    Role,
    requires,
    rights,
)

REASON = "åtgärd på begäran, ärende 17"


class Fixed:
    """Lets one bearer in, whatever the token."""

    def __init__(self, scopes: Iterable[str]) -> None:
        self.scopes = frozenset(scopes)

    async def principal(self, _authorization: str | None) -> Principal:
        return Principal("someone", "alvsund", self.scopes)


def request(scopes: Iterable[str], reason: str | None = None) -> Request:
    class App:
        class state:  # noqa: N801 - FastAPI's name
            authenticator = Fixed(scopes)
            organisations = ("alvsund",)

    headers = [] if reason is None else [(REASON_HEADER.lower().encode(), quote(reason).encode())]
    return Request({"type": "http", "headers": headers, "app": App})


async def test_a_reason_opens_protected_identities_for_who_may_break_the_glass() -> None:
    enter = requires("persons:read")
    hr = rights(["hr"])
    assert READ_PROTECTED not in (await enter(request(hr))).scopes
    found = await enter(request(hr, REASON))
    assert READ_PROTECTED in found.scopes
    assert found.reason == REASON
    others = rights(["operations", "it_read", "auditor", "records", "manager"])
    assert BREAK_GLASS not in others
    refused = await enter(request(others, REASON))
    assert READ_PROTECTED not in refused.scopes
    assert refused.reason is None


@pytest.mark.parametrize("reason", ["", "   "])
async def test_a_blank_reason_opens_nothing(reason: str) -> None:
    assert READ_PROTECTED not in (await requires("persons:read")(request(rights(["hr"]), reason))).scopes


@pytest.mark.parametrize("reason", ["x" * 201, "a\x00b", "a\nb"])
async def test_a_reason_that_cannot_be_audited_is_refused(reason: str) -> None:
    with pytest.raises(ProblemError) as refused:
        await requires("persons:read")(request(rights(["hr"]), reason))
    assert refused.value.status == 422


def test_every_role_is_in_the_table_and_nothing_else_permits() -> None:
    assert set(RIGHTS) == set(Role)
    assert rights([]) == rights(["emperor", ""]) == frozenset()
    assert rights(["hr", "it_read"]) == RIGHTS["hr"] | RIGHTS["it_read"]
    assert not any(READ_PROTECTED in scopes or "events:write" in scopes for scopes in RIGHTS.values())


def test_a_manager_has_narrowed_rights_only() -> None:
    assert RIGHTS["manager"] == {*READ_OWN.values(), "organisation:read", ACTIVATE_OWN}
    assert RIGHTS["manager"].isdisjoint(READ_OWN)
    assert not any(
        scope in scopes for role, scopes in RIGHTS.items() if role != "manager" for scope in READ_OWN.values()
    )


@pytest.mark.parametrize(("scopes", "allowed"), [(["a"], True), (["b"], True), (["a", "c"], True), (["c"], False)])
async def test_a_route_may_be_opened_by_one_of_several_rights(scopes: list[str], allowed: bool) -> None:
    enter = requires("a", "b")
    if allowed:
        assert (await enter(request(scopes))).scopes == set(scopes)
        return
    with pytest.raises(ProblemError) as refused:
        await enter(request(scopes))
    assert (refused.value.status, refused.value.detail) == (403, "This needs the scope a or b.")
