"""Parts of a page: each is one call with a deadline, and none takes another one down."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.kernel import telemetry
from services.portal.domain.answers import Part, Refused, TokenRefused, Trouble, Unreachable, trouble_of
from services.portal.ports import Api, Bearer, Content

log = telemetry.get_logger(__name__)

Shape = TypeVar("Shape", bound=BaseModel)
T = TypeVar("T")
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

    async def upload(
        self, shape: type[Shape], service: str, path: str, content: Content, *, deadline: float, **query: str
    ) -> Part[Shape]:
        """Return what a service answers to a file; without an answer nobody knows whether it came."""
        return await self._call(
            shape, "POST", service, path, unanswered="unknown", query=query, content=content, deadline=deadline
        )

    async def download(self, service: str, path: str, **query: str) -> Part[bytes]:
        """Return a file of a service."""
        return await self._part(lambda bearer: self.api.download(bearer, service, path, query=query), service, "down")

    async def _call(
        self, shape: type[Shape], method: str, service: str, path: str, *, unanswered: str = "down", **options: Any
    ) -> Part[Shape]:
        async def asked(bearer: Bearer) -> Shape:
            return shape.model_validate(await self.api.call(bearer, method, service, path, **options))

        return await self._part(asked, service, unanswered)

    async def _part(self, ask: Callable[[Bearer], Awaitable[T]], service: str, unanswered: str) -> Part[T]:
        try:
            return Part(await self._answer(ask, service))
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

    async def _answer(self, ask: Callable[[Bearer], Awaitable[T]], service: str) -> T:
        """Ask; a token that is refused is replaced once, and nothing was done with it."""
        try:
            return await ask(self.bearer)
        except Refused as refused:
            if refused.status != UNAUTHORISED:
                raise
            token = await self.newer()
        try:
            if token is not None:
                return await ask(replace(self.bearer, token=token))
        except Refused as refused:
            if refused.status != UNAUTHORISED:
                raise
        raise TokenRefused(service)
