"""Parts of a page: each is one call with a deadline, and none takes another one down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.kernel import telemetry
from services.portal.domain.answers import Part, Refused, Trouble, Unreachable, trouble_of
from services.portal.ports import Api, Bearer

log = telemetry.get_logger(__name__)

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True)
class Asking:
    """The APIs on behalf of one person. Whatever goes wrong is part of the answer; nothing is raised."""

    api: Api
    bearer: Bearer

    async def get(self, shape: type[Shape], service: str, path: str, **query: object) -> Part[Shape]:
        """Return what a service answers to a GET, read as `shape`."""
        sent = {name: str(value) for name, value in query.items() if value is not None and value != ""}
        return await self._call(shape, "GET", service, path, query=sent or None)

    async def post(
        self, shape: type[Shape], service: str, path: str, body: Mapping[str, Any], *, key: str | None = None
    ) -> Part[Shape]:
        """Return what a service answers to a POST."""
        return await self._call(shape, "POST", service, path, body=body, key=key)

    async def _call(self, shape: type[Shape], method: str, service: str, path: str, **options: Any) -> Part[Shape]:
        try:
            return Part(shape.model_validate(await self.api.call(self.bearer, method, service, path, **options)))
        except Unreachable:
            return Part(None, Trouble("down", service, "service.unreachable"))
        except Refused as refused:
            return Part(None, trouble_of(refused, service))
        except ValidationError as error:
            log.error("answer.unexpected", service=service, fields=[item["loc"] for item in error.errors()][:5])  # noqa: TRY400
            return Part(None, Trouble("down", service, "answer.unexpected"))
