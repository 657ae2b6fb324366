"""One route: the accounts of a person. Every read is logged in the transaction that reads."""

from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from contracts.codes import Protection
from contracts.facts import AccountRecord
from contracts.person import PersonChanged
from services.accounts.handlers.intake import PERSON
from services.accounts.store import accounts
from services.accounts.store.accounts import AccountRow
from services.kernel import audit
from services.kernel.database import Connection, Database
from services.kernel.messaging import inputs
from services.kernel.problems import ProblemError, documented
from services.kernel.security import Principal, requires

router = APIRouter()


class AccountsOfPerson(BaseModel):
    """The accounts of one person, by target."""

    person: UUID
    accounts: dict[str, AccountRecord]


@router.get("/v1/accounts/{person}", responses=documented(404))
async def read_accounts(
    person: UUID, request: Request, principal: Annotated[Principal, Depends(requires("persons:read"))]
) -> AccountsOfPerson:
    """Return a person's accounts.

    Raises:
        ProblemError: 404 when the token's organisation has no such person with an account, or when the person is
            protected and the token lacks persons:read_protected: the two cannot be told apart.
    """
    database = cast("Database", request.app.state.accounts)
    async with database.transaction() as conn:
        found = await accounts.of_person(conn, principal.organisation, person)
        hidden = await _protected(conn, principal, person)
        shown = bool(found) and not hidden
        await audit.record(
            conn,
            "accounts",
            principal.organisation,
            principal.subject,
            "accounts.read",
            subject=person,
            reason=principal.reason,
            parameters={"shown": shown},
        )
    cast("Any", request.app.state.committed)()
    if not shown:
        raise ProblemError(404, "account.not_found", "No such person with an account")
    return AccountsOfPerson(person=person, accounts={row.target: _record(row) for row in found})


async def _protected(conn: Connection, principal: Principal, person: UUID) -> bool:
    if "persons:read_protected" in principal.scopes:
        return False
    bodies = await inputs.load(conn, PERSON, [(principal.organisation, str(person))])
    body = next(iter(bodies.values()), None)
    if body is None:
        return False
    return PersonChanged.model_validate_json(body, extra="ignore").record.protection != Protection.NONE


def _record(row: AccountRow) -> AccountRecord:
    return AccountRecord(
        state=row.state, user_name=row.user_name, mail=row.mail, entry=row.entry, enabled_from=row.enabled_from
    )
