"""CloudEvents 1.0 in structured JSON mode (CloudEvents JSON format 1.0; AMQP mapping in README)."""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from contracts.base import Label, Message, Organisation

CONTENT_TYPE = "application/cloudevents+json"
BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"

Traceparent = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]
"""W3C Trace Context, `traceparent` (section 3.2)."""

Data = TypeVar("Data", bound=Message)


class CloudEvent(BaseModel, Generic[Data]):
    """An event between the services: attribute names are CloudEvents' own (lower case).

    `time` is when the producer recorded it (UTC); `organisation` and `traceparent` are extension attributes.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    organisation: Organisation
    traceparent: Traceparent | None = None
    data: Data


class HrEvent(BaseModel, Generic[Data]):
    """An event at HR's door.

    `(source, id)` makes it unique, `time` is when the source asserted it (mandatory, with offset), `sequence` orders
    facts of one source that carry the same time. `organisation`, when given, must be the token's.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    specversion: Literal["1.0"]
    id: Label
    source: Label
    type: Label
    subject: Label | None = None
    time: AwareDatetime
    sequence: Annotated[int, Field(ge=0, lt=2**63)] = 0
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Label | None = None
    organisation: Organisation | None = None
    traceparent: Traceparent | None = None
    data: Data
