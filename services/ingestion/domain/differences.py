"""Which fields differ between two records: names alone, never values."""

from collections.abc import Iterator
from typing import Any

import orjson

from services.ingestion.domain.projection import Records


def changed_fields(before: Records | None, after: Records) -> list[str]:
    """Return dotted names in both sections, in order; none for a person who was not known."""
    if before is None:
        return []
    pairs = ((before.core_json, after.core_json), (before.confidential_json, after.confidential_json))
    found = {name for old, new in pairs if old != new for name in _differ(orjson.loads(old), orjson.loads(new), "")}
    # terms of employment travel apart from their employments
    return sorted(name.replace("terms.terms.", "employments.terms.", 1) for name in found)


def _differ(old: Any, new: Any, name: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _differ(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for one, other in zip(old, new, strict=True):
            yield from _differ(one, other, name)
    else:
        yield name
