"""The model every message is built on, and the text rules of HR's door."""

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

ABSENT: Any = Field(default=None)
"""Default of a field that may be left out but may not be null: absent changes nothing, null is refused."""


class Message(BaseModel):
    """Strict, frozen, camelCase on the wire.

    Producers forbid unknown fields; a consumer reads with `Model.model_validate_json(body, extra="ignore")`.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_enum_values=False
    )

    def says(self, field: str) -> bool:
        """Tell whether the sender wrote `field` at all: absent, null and false are three things."""
        return field in self.model_fields_set


def clean(text: str) -> str:
    """Return `text` as NFC; control characters are refused, U+0000 above all (PostgreSQL cannot store it)."""
    if text.isprintable() and unicodedata.is_normalized("NFC", text):
        return text.strip()  # nearly every text, at a tenth of the cost
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("control characters are not allowed")
    return unicodedata.normalize("NFC", text).strip()


def _filled(text: str) -> str:
    if not text:
        raise ValueError("must not be blank")
    return text


Text = Annotated[str, StringConstraints(max_length=400), AfterValidator(clean)]
"""Free text on one line, NFC, at most 400 characters, possibly empty."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(clean), AfterValidator(_filled)]
"""An identifier given by a source: opaque, 1-200 characters, never blank."""

Organisation = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,62}$")]
"""Key of the authority that controls the data (data controller)."""

Percent = Annotated[float, Field(ge=0, le=100)]
"""Extent of work, in percent of full time."""
