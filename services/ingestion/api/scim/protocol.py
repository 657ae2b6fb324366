"""SCIM's protocol as we keep it: a PUT that leaves something out changes nothing there, and errors name the field."""

from typing import Any
from urllib.parse import quote

from pydantic import BaseModel
from scim2_models import Error, InvalidSyntaxException, Resource, ResourceType, SCIMException, ScimProvider
from scim2_server.conditions import Conditions
from scim2_server.service import ScimService
from typing_extensions import override

from services.ingestion.api.scim.mapping import field_of, refuse_derived
from services.ingestion.store.scim import USER
from services.kernel import telemetry
from services.kernel.database import TRANSIENT
from services.kernel.problems import ProblemError

log = telemetry.get_logger(__name__)


class Protocol(ScimService):
    """The protocol without input or output, shared by all requests."""

    def __init__(self, provider: ScimProvider) -> None:
        super().__init__(provider)

    @override
    def read_creation(self, resource_type: ResourceType, body: bytes, content_type: str | None) -> Resource[Any]:
        """Read a new resource."""
        found = super().read_creation(resource_type, body, content_type)
        if resource_type.name == USER:
            refuse_derived(self.decode_body(body, content_type), None)
        return found

    @override
    def read_replacement(self, resource_type: ResourceType, body: bytes, content_type: str | None) -> Resource[Any]:
        """Read a replacement; what it says is kept for the comparison with what is there."""
        found = super().read_replacement(resource_type, body, content_type)
        object.__setattr__(found, "_body", self.decode_body(body, content_type))
        return found

    @override
    def apply_replacement(
        self, current: Resource[Any], replacement: Resource[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        """Replace what is said; absent is unchanged and null clears, as everywhere at this door."""
        self.check_preconditions(current, "PUT", conditions)
        if current.meta is not None and current.meta.resource_type == USER:
            refuse_derived(getattr(replacement, "_body", None), current)
        _keep(replacement, current)
        return super().apply_replacement(current, replacement, conditions)

    @override
    def resource_location(self, base_url: str, resource_type: ResourceType, resource_id: str) -> str:
        """Return the URL of a resource; a unit's id may hold anything."""
        return super().resource_location(base_url, resource_type, quote(resource_id, safe=""))

    @staticmethod
    @override
    def error_of(exception: Exception) -> Error:
        """Return the SCIM error of whatever was raised; each problem still names field, reason and code."""
        if isinstance(exception, SCIMException):
            return exception.to_error()
        if isinstance(exception, ProblemError):
            return _error(exception)
        if isinstance(exception, TRANSIENT):
            return Error(status=503, detail="The database does not answer; send the same request again later")
        if isinstance(exception, RecursionError):
            return InvalidSyntaxException(detail="nested too deeply").to_error()
        log.error("scim.unexpected", exc_info=exception)
        return Error(status=500, detail="Something went wrong on our side")


def _error(problem: ProblemError) -> Error:
    status = 400 if problem.status == 422 else problem.status
    scim_type = "uniqueness" if problem.code == "resource.taken" else "invalidValue" if status == 400 else None
    reasons = [f"{field_of(error.field)}: {error.reason} ({error.code})" for error in problem.errors]
    said = "; ".join(reasons) or " ".join(part for part in (problem.title + ".", problem.detail) if part)
    return Error(status=status, scim_type=scim_type, detail=said if reasons else f"{said} ({problem.code})")


def _keep(replacement: BaseModel, current: BaseModel) -> None:
    """Take what a replacement leaves out from what is there; a list that is said replaces the list."""
    for name in type(current).model_fields:
        known, said = getattr(current, name), getattr(replacement, name)
        if known is None:
            continue
        if name not in replacement.model_fields_set:
            setattr(replacement, name, known)
        elif isinstance(known, BaseModel) and isinstance(said, BaseModel):
            _keep(said, known)
