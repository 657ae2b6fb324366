"""First credentials: a code is issued and told once; whoever has it chooses the first password."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from contracts.base import Message
from services.accounts.domain import activation as codes
from services.accounts.domain.activation import Outcome, State
from services.accounts.handlers.activating import SERVICE, Activations, Attempt, Use, Verdict
from services.accounts.handlers.prospects import PolicyFailed, Prospect
from services.accounts.store import activations
from services.kernel import audit
from services.kernel.clock import business_now
from services.kernel.database import Connection, Database
from services.kernel.problems import FieldError, ProblemError, documented
from services.kernel.security import ACTIVATE, ACTIVATE_OWN, READ_PROTECTED, Principal, reason_allowed, requires
from services.kernel.settings import OrganisationSettings

DELIVER = "activations:deliver"
"""Fetches codes that wait to be sent to a private phone or mail: for the machine that sends them."""
Issuer = Annotated[Principal, Depends(requires(ACTIVATE, ACTIVATE_OWN))]
Deliverer = Annotated[Principal, Depends(requires(DELIVER))]
Secret = Annotated[SecretStr, Field(max_length=1_000)]
_AGAIN_SECONDS = 60


class Issue(BaseModel):
    """Why a code is issued, and who gets it: `manager` is whoever asks, `private` the person's own phone or mail."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    way: Literal["manager", "private"] = "manager"


class Issued(Message):
    """A code, told here and never again; none when it waits to be sent.

    `opens_at`: when the login begins to work, in the organisation's zone; null when it works by now.
    """

    person: UUID
    state: State
    code: str | None
    user_name: str | None
    expires_at: datetime
    opens_at: datetime | None


class Standing(Message):
    """How a person's newest code stands: by whom and when, never the code. `done`: where the password was set."""

    person: UUID
    state: State
    way: str | None = None
    issued_by: str | None = None
    issued_at: datetime | None = None
    fetched_at: datetime | None = None
    expires_at: datetime | None = None
    spent_at: datetime | None = None
    done: tuple[str, ...] = ()


class Chosen(BaseModel):
    """A login or address, the code, and the password that the person has chosen."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    login: Annotated[str, StringConstraints(max_length=320)]
    code: Secret
    password: Secret


class TargetOutcome(Message):
    """What became of the password in one target."""

    target: str
    outcome: Outcome


class Activated(Message):
    """`done`: the code is spent. `partly`: with the same code it can be done in the rest, until the code expires.

    `opens_at`: as in `Issued`.
    """

    state: Literal["done", "partly"]
    targets: tuple[TargetOutcome, ...]
    opens_at: datetime | None


class PasswordRules(Message):
    """What a password needs before any target judges it: characters at least, and at most."""

    shortest: int
    longest: int


def router(
    database: Database,
    activating: Activations,
    organisations: Mapping[str, OrganisationSettings],
    committed: Callable[[], None],
    *,
    shortest: int,
) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["activation"])

    @routes.post("/v1/accounts/{person}/activation", status_code=201, responses=documented(404, 409))
    async def issue(person: UUID, body: Issue, principal: Issuer, response: Response) -> Issued:
        """Issue a code; the one before it is void. It is told in this answer and never again.

        For whoever has `accounts:activate`, or `accounts:activate_own` and is the manager of the person's main unit, of
        one above it, or by assignment. Nobody issues a code for themselves.

        Raises:
            ProblemError: 404 when there is no such person with an account, or this token may not see it; 409 when
                nobody shall come in, or the organisation gives no codes this way.
        """
        if not reason_allowed(body.reason):
            raise ProblemError(422, "reason.invalid", "The reason is too long or holds control characters")
        settings = organisations[principal.organisation]
        async with database.transaction() as conn:
            found = await _seen(conn, principal, person)
            problem = _unknown() if found is None else _hindrance(found, person, body.way, principal, settings)
            made = None
            if found is not None and problem is None:
                made = await activating.issue(
                    conn,
                    principal.organisation,
                    person,
                    way=body.way,
                    actor=principal.subject,
                    days=settings.activation_days,
                )
            action = "activation.denied" if made is None else "activation.issued"
            await _tell(conn, principal, action, person, body.reason)
        activating.crash("activation.after_issue")
        committed()
        if found is None or made is None:
            raise problem or _unknown()
        _keep_nowhere(response)
        return _issued(*made, found)

    @routes.get("/v1/accounts/{person}/activation", responses=documented(404))
    async def state(person: UUID, principal: Issuer) -> Standing:
        """Tell how the newest code stands."""
        async with database.transaction() as conn:
            found = await _seen(conn, principal, person)
            one = await activations.newest(conn, principal.organisation, person) if found else None
            now = await business_now(conn)
            await _tell(conn, principal, "activation.read", person, principal.reason, shown=found is not None)
        committed()
        if found is None:
            raise _unknown()
        if one is None:
            return Standing(person=person, state=State.NONE)
        return Standing(
            person=person,
            state=one.state_at(now),
            way=one.way,
            issued_by=one.issued_by,
            issued_at=one.issued_at,
            fetched_at=one.fetched_at,
            expires_at=one.expires_at,
            spent_at=one.spent_at,
            done=tuple(one.done),
        )

    @routes.post("/v1/accounts/{person}/activation/fetch", responses=documented(404))
    async def fetch(person: UUID, principal: Deliverer, response: Response) -> Issued:
        """Tell the code of an issue that waits to be sent, once: it is made by this call."""
        async with database.transaction() as conn:
            now = await business_now(conn)
            found = await _read(conn, principal.organisation, person, now)
            made = None
            if found is not None and found.opens and activating.possible:
                made = await activating.fetch(conn, principal.organisation, person)
            await _tell(conn, principal, "activation.fetched", person, None, shown=made is not None)
        committed()
        if found is None or made is None:
            raise ProblemError(404, "activation.none_waits", "No code waits to be sent to this person")
        _keep_nowhere(response)
        return _issued(made[0], made[1], found)

    @routes.get("/v1/activations")
    async def rules() -> PasswordRules:
        """Tell what a password needs. Open to everybody."""
        return PasswordRules(shortest=shortest, longest=codes.LONGEST_PASSWORD)

    @routes.post("/v1/activations", responses=documented(409, 429))
    async def use(body: Chosen, request: Request, response: Response) -> Activated:
        """Choose the first password. No token: the code is the proof of who asks.

        A login that does not exist, a wrong code, one that is spent or locked are all `activation.invalid`, after the
        same time. Failures are counted by login, by address and in all (429), five wrong codes lock a code.

        Raises:
            ProblemError: 422 `activation.invalid`; `activation.expired`, only when the code was right;
                `account.password_refused`, another password may do. 409 while the code is in use. 503 while no target
                answers: the code is good for another try. 429 with when to come back.
        """
        password, code = body.password.get_secret_value(), codes.read(body.code.get_secret_value())
        if code is None:
            wrong = FieldError("/code", "activation.code_mistyped", "A character is wrong, missing or misplaced")
            raise _invalid([wrong])
        if weak := codes.weakness(codes.plain_password(password), body.login, shortest):
            raise _refused([FieldError("/password", weak, f"{shortest} to {codes.LONGEST_PASSWORD} characters")])
        if not activating.possible:
            raise _not_configured()
        address = request.client.host if request.client else ""
        try:
            done = await activating.use(Attempt(body.login, code, password, address))
        except PolicyFailed as error:
            raise _policy_failed() from error
        committed()
        _keep_nowhere(response)
        return _answer(done)

    async def _seen(conn: Connection, principal: Principal, person: UUID) -> Prospect | None:
        """Return whom this token may ask about, if there is an account or there will be one."""
        now = await business_now(conn)
        found = await _read(conn, principal.organisation, person, now)
        if found is None or (found.protected and READ_PROTECTED not in principal.scopes):
            return None
        if ACTIVATE in principal.scopes:
            return found
        leads = await activating.prospects.leads(conn, principal.organisation, principal.person, found, now)
        return found if leads else None

    async def _read(conn: Connection, organisation: str, person: UUID, now: datetime) -> Prospect | None:
        try:
            return await activating.prospects.read(conn, organisation, person, now)
        except PolicyFailed as error:
            raise _policy_failed() from error

    def _hindrance(
        found: Prospect, person: UUID, way: str, principal: Principal, settings: OrganisationSettings
    ) -> ProblemError | None:
        if found.is_also(person, principal.person):
            return ProblemError(409, "activation.own", "Nobody issues a code for themselves")
        if not found.opens:
            return ProblemError(409, "activation.closed", "This person shall not come in: left, blocked or merged")
        if not found.rows:
            return ProblemError(409, "activation.no_account", "There is no account yet; issue the code when there is")
        if (way == "private" or ACTIVATE not in principal.scopes) and way not in settings.activation:
            return ProblemError(409, "activation.way_refused", "The organisation gives no codes this way")
        return None if activating.possible else _not_configured()

    return routes


async def _tell(
    conn: Connection, principal: Principal, action: str, person: UUID, reason: str | None, *, shown: bool | None = None
) -> None:
    parameters = {} if shown is None else {"shown": shown}
    await audit.record(
        conn,
        SERVICE,
        principal.organisation,
        principal.subject,
        action,
        subject=person,
        reason=reason,
        parameters=parameters,
    )


def _issued(one: activations.Activation, code: str | None, found: Prospect) -> Issued:
    names = [row.user_name for row in found.rows.values() if row.user_name]
    return Issued(
        person=one.person,
        state=State(one.state),
        code=None if code is None else codes.shown(code),
        user_name=names[0] if names else None,
        expires_at=one.expires_at,
        opens_at=found.opens_at,
    )


def _answer(done: Use) -> Activated:
    told = [TargetOutcome(target=target, outcome=outcome) for target, outcome in sorted(done.outcomes.items())]
    members = {"targets": [one.model_dump(mode="json", by_alias=True) for one in told]}
    match done.verdict:
        case Verdict.DONE:
            return Activated(state="done", targets=tuple(told), opens_at=done.opens_at)
        case Verdict.PARTLY:
            return Activated(state="partly", targets=tuple(told), opens_at=done.opens_at)
        case Verdict.REFUSED:
            raise _refused([FieldError("/password", "account.password_refused", "Choose another one")], members)
        case Verdict.AWAY:
            raise ProblemError(
                503,
                "activation.away",
                "The password could not be set now",
                detail="Try again later with the same code.",
                headers={"Retry-After": str(_AGAIN_SECONDS)},
                members=members,
            )
        case Verdict.BUSY:
            raise ProblemError(409, "activation.under_way", "The code is being used right now")
        case Verdict.EXPIRED:
            raise ProblemError(422, "activation.expired", "The code has expired; ask for a new one")
        case Verdict.TOO_MANY:
            headers = {"Retry-After": str(done.retry_after or _AGAIN_SECONDS)}
            raise ProblemError(429, "activation.too_many", "Too many tries; come back later", headers=headers)
        case _:
            raise _invalid()


def _invalid(errors: list[FieldError] | None = None) -> ProblemError:
    return ProblemError(422, "activation.invalid", "Login and code do not belong together", errors=errors or ())


def _refused(errors: list[FieldError], members: Mapping[str, object] | None = None) -> ProblemError:
    return ProblemError(
        422,
        "account.password_refused",
        "The password is refused; the code is good for another one",
        errors=errors,
        members=members,
    )


def _not_configured() -> ProblemError:
    return ProblemError(409, "activation.not_configured", "STAFETT_ACTIVATION_KEY is not set: no codes are issued")


def _policy_failed() -> ProblemError:
    return ProblemError(503, "policy.failed", "The policy cannot say what this person has")


def _unknown() -> ProblemError:
    return ProblemError(
        404,
        "account.not_found",
        "No such person with an account",
        detail="Of somebody with a protected identity whoever is both hr and operations issues the code, for a reason.",
    )


def _keep_nowhere(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"
