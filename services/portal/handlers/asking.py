"""Parts of a page: each is one call with a deadline, and none takes another one down."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.kernel import telemetry
from services.portal.domain.answers import Part, Refused, TokenRefused, Trouble, Unreachable, trouble_of
from services.portal.ports import Api, Bearer

log = telemetry.get_logger(__name__)

Shape = TypeVar("Shape", bound=BaseModel)
UNAUTHORISED = 401


@dataclass(frozen=True)
class Asking:
    """The APIs on behalf of one person. Whatever goes wrong is part of the answer; only `TokenRefused` is raised.

    Args:
        api: The services.
        bearer: Who asks.
        newer: Returns another token than the bearer's, or None when there is none.
    """

    api: Api
    bearer: Bearer
    newer: Callable[[], Awaitable[str | None]]

    async def get(self, shape: type[Shape], service: str, path: str, **query: object) -> Part[Shape]:
        """Return what a service answers to a GET, read as `shape`."""
        sent = {name: str(value) for name, value in query.items() if value is not None and value != ""}
        return await self._call(shape, "GET", service, path, query=sent or None)

    async def post(
        self,
        shape: type[Shape],
        service: str,
        path: str,
        body: Mapping[str, Any],
        *,
        key: str | None = None,
        changes: bool = True,
        deadline: float | None = None,
    ) -> Part[Shape]:
        """Return what a service answers to a POST; without an answer nobody knows whether what `changes` was done."""
        unanswered = "unknown" if changes else "down"
        return await self._call(
            shape, "POST", service, path, unanswered=unanswered, body=body, key=key, deadline=deadline
        )

    async def _call(
        self, shape: type[Shape], method: str, service: str, path: str, *, unanswered: str = "down", **options: Any
    ) -> Part[Shape]:
        try:
            return Part(shape.model_validate(await self._answer(method, service, path, **options)))
        except Unreachable:
            return Part(None, Trouble(unanswered, service, "service.unreachable"))
        except Refused as refused:
            trouble = trouble_of(refused, service)
            return Part(None, replace(trouble, kind=unanswered) if trouble.kind == "down" else trouble)
        except ValidationError as error:
            log.error("answer.unexpected", service=service, fields=[item["loc"] for item in error.errors()][:5])  # noqa: TRY400
            return Part(None, Trouble(unanswered, service, "answer.unexpected"))
        except TokenRefused:
            raise
        except Exception:
            # whatever a service answers, it is this part's trouble and not the page's
            log.exception("answer.unexpected", service=service)
            return Part(None, Trouble(unanswered, service, "answer.unexpected"))

    async def _answer(self, method: str, service: str, path: str, **options: Any) -> Any:
        """Ask; a token that is refused is replaced once, and nothing was done with it."""
        try:
            return await self.api.call(self.bearer, method, service, path, **options)
        except Refused as refused:
            if refused.status != UNAUTHORISED:
                raise
            token = await self.newer()
        try:
            if token is not None:
                return await self.api.call(replace(self.bearer, token=token), method, service, path, **options)
        except Refused as refused:
            if refused.status != UNAUTHORISED:
                raise
        raise TokenRefused(service)
