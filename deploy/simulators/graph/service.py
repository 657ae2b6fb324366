"""The way of one request: faults, token, budget, permission, handler, log."""

import random
from dataclasses import dataclass, field, replace
from uuid import uuid4

from deploy.simulators.graph import batches, routing
from deploy.simulators.graph.budget import Budget
from deploy.simulators.graph.calls import Answer, Call, Json, Refused
from deploy.simulators.graph.clock import spoken
from deploy.simulators.graph.faults import Fault, FaultBook, FaultKind
from deploy.simulators.graph.journal import Journal, Record
from deploy.simulators.graph.operations import Operation
from deploy.simulators.graph.tenants import World
from deploy.simulators.graph.tokens import Bearer, TokenRefused, Tokens

_WRITES = {"POST", "PATCH", "PUT", "DELETE"}
_VERSION = "/v1.0"
_BEFORE = frozenset({FaultKind.THROTTLE, FaultKind.ERROR})
_LOST = frozenset({FaultKind.LOST_ANSWER})
_EXPIRED = frozenset({FaultKind.EXPIRED_TOKEN})


@dataclass(frozen=True)
class Limits:
    """What the service allows at the start: seconds of an access token, and writes per window of seconds."""

    token_lifetime: float = 3599
    writes: int = 3_000
    window: float = 150.0


@dataclass
class _Progress:
    """What is known of a request while it is answered, for the log."""

    number: int
    bearer: Bearer | None = None
    tenant: str | None = None
    changes: list[str] = field(default_factory=list)
    fault: Fault | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    batch: int | None = None


class Service:
    """Microsoft Graph and the token endpoint of all tenants.

    Everything happens between two awaits of the server, so requests never interleave.
    """

    def __init__(self, world: World, journal: Journal, limits: Limits | None = None) -> None:
        self.world = world
        self.journal = journal
        self._limits = limits or Limits()
        self.tokens = Tokens(world, self._limits.token_lifetime)
        self.budget = Budget(self._limits.writes, self._limits.window)
        self.faults = FaultBook(world.chance)

    def reset(self, seed: int) -> None:
        """Forget all tenants, tokens, faults and the log, and begin with this seed and the limits of the start."""
        if (kept := self.world.kept) is not None:
            kept.forget()
        self.world = World(chance=random.Random(seed), kept=kept)  # noqa: S311 (reproducible, not secret)
        self.journal.clear()
        self.tokens = Tokens(self.world, self._limits.token_lifetime)
        self.budget = Budget(self._limits.writes, self._limits.window)
        self.faults = FaultBook(self.world.chance)

    def answer(self, call: Call, root: str, *, batch: int | None = None) -> Answer:
        """Answer a request and log it.

        Args:
            call: The request.
            root: The service's own address, as the caller knows it.
            batch: The number of the outer request, for an item of a batch.
        """
        progress = _Progress(self.journal.next_number(), batch=batch)
        request_id = str(uuid4())
        try:
            answer = self._answer(call, root, progress)
        except Refused as refused:
            progress.code = refused.code
            hang = progress.fault.hang if progress.fault and progress.fault.kind is FaultKind.LOST_ANSWER else 0.0
            answer = Answer(refused.status, self._problem(refused, call, request_id), refused.headers, hang)
        except TokenRefused as refused:
            progress.code = f"AADSTS{refused.code}"
            answer = Answer(refused.status, self._token_problem(refused, call))
        self._log(call, answer, progress)
        echo = {"client-request-id": call.headers["client-request-id"]} if "client-request-id" in call.headers else {}
        return replace(answer, headers={"request-id": request_id, **echo, **progress.headers, **answer.headers})

    def _answer(self, call: Call, root: str, progress: _Progress) -> Answer:
        now = self.world.clock.now()
        if self.faults.down:
            raise Refused(503, "ServiceUnavailable", "The service is unavailable.")
        segments = call.path.strip("/").split("/")
        progress.bearer = self.tokens.read(call.headers.get("authorization"))
        if progress.bearer is not None:
            progress.tenant = progress.bearer.tenant.id
        elif not call.path.startswith(f"{_VERSION}/") and (named := self.world.tenant(segments[0])) is not None:
            progress.tenant = named.id
        if fault := self.faults.strike(_BEFORE, call, progress.tenant, now):
            progress.fault = fault
            raise fault.refusal(now)
        if call.path.startswith(f"{_VERSION}/"):
            answer = self._graph(call, root, progress)
        else:
            answer = self._sign_in(call, segments, root, progress)
        if fault := self.faults.strike(_LOST, call, progress.tenant, now):
            progress.fault = fault
            raise fault.refusal(now)
        return answer

    def _sign_in(self, call: Call, segments: list[str], root: str, progress: _Progress) -> Answer:
        match (call.method, segments):
            case ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]):
                metadata = self.tokens.metadata(tenant, root)
                if metadata is None:
                    raise TokenRefused("invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
                return Answer(200, metadata)
            case ("POST", [tenant, "oauth2", "v2.0", "token"]):
                form = call.body if isinstance(call.body, dict) else {}
                return self.tokens.issued(tenant, form, root, progress.changes)
        raise Refused(404, "ResourceNotFound", "There is nothing here.")

    def _graph(self, call: Call, root: str, progress: _Progress) -> Answer:
        bearer = self._authorised(call, progress)
        if call.path == f"{_VERSION}/$batch" and call.method == "POST":
            return batches.answered(
                call, lambda item: self.answer(item, root, batch=progress.number), self.world.chance.shuffle
            )
        found = routing.match(call.method, call.path.removeprefix(_VERSION))
        if isinstance(found, frozenset):
            if found:
                raise Refused(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
            raise Refused(
                400, "BadRequest", f"Resource not found for the segment '{call.path.strip('/').split('/')[1]}'."
            )
        route, parts = found
        if call.method in _WRITES:
            progress.headers = self.budget.spend(bearer.tenant.id, bearer.app, self.world.clock.now())
        if bearer.delegated or not bearer.roles & route.roles:
            raise Refused(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        operation = Operation(bearer.tenant, call, root, parts, bearer.roles, self.world.new_id, progress.changes)
        return route.handler(operation)

    def _authorised(self, call: Call, progress: _Progress) -> Bearer:
        bearer = progress.bearer
        if bearer is None:
            message = "CompactToken parsing failed." if call.headers.get("authorization") else "Access token is empty."
            raise _unauthenticated(message)
        if fault := self.faults.strike(_EXPIRED, call, progress.tenant, self.world.clock.now()):
            progress.fault = fault
            self.tokens.end(bearer)
        if not self.tokens.valid(bearer):
            raise _unauthenticated("Lifetime validation failed, the token is expired.")
        return bearer

    def _problem(self, refused: Refused, call: Call, request_id: str) -> Json:
        inner = {
            "date": spoken(self.world.clock.now()).removesuffix("Z"),
            "request-id": request_id,
            "client-request-id": call.headers.get("client-request-id", request_id),
        }
        error: Json = {"code": refused.code, "message": refused.message, "innerError": inner}
        if refused.details:
            error["details"] = list(refused.details)
        return {"error": error}

    def _token_problem(self, refused: TokenRefused, call: Call) -> Json:
        trace, correlation = str(uuid4()), call.headers.get("client-request-id", str(uuid4()))
        moment = spoken(self.world.clock.now()).replace("T", " ")
        return {
            "error": refused.error,
            "error_description": (
                f"AADSTS{refused.code}: {refused.message} Trace ID: {trace} Correlation ID: {correlation} "
                f"Timestamp: {moment}"
            ),
            "error_codes": [refused.code],
            "timestamp": moment,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={refused.code}",
        }

    def _log(self, call: Call, answer: Answer, progress: _Progress) -> None:
        self.journal.add(
            Record(
                number=progress.number,
                at=self.world.clock.now().isoformat(timespec="milliseconds"),
                tenant=progress.tenant,
                app=progress.bearer.app if progress.bearer else None,
                method=call.method,
                path=call.path,
                query="&".join(f"{name}={value}" for name, value in call.query.items()),
                client_request_id=call.headers.get("client-request-id"),
                status=answer.status,
                code=progress.code,
                changes=tuple(progress.changes),
                fault=progress.fault.id if progress.fault else None,
                batch=progress.batch,
            )
        )


def _unauthenticated(message: str) -> Refused:
    challenge = 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
    return Refused(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge})
