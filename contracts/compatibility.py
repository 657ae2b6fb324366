"""Whether a schema may replace an older one under the same version.

Both directions must hold: consumers of the old version read what the new one's producers write, and consumers of the
new one read what the old one's wrote and we kept (replays). So a field may be added if it may be absent, and a choice
may be widened (consumers are deployed first); all else is a new version.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

CONSTRAINTS = (
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
)


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """Return what `new` takes away from those who know `old`; empty when it may replace it."""
    return list(_compare(old, new, old, new, ""))


def _compare(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    offered = {_kind(one): one for one in _variants(new, new_root)}
    for variant in _variants(old, old_root):
        kind = _kind(variant)
        if kind not in offered:
            yield f"{path or '/'}: {kind} is no longer allowed"
            continue
        counterpart = offered[kind]
        yield from _constraints(variant, counterpart, path or "/")
        yield from _properties(variant, counterpart, old_root, new_root, path)
        for part in ("items", "additionalProperties"):
            yield from _nested(variant.get(part), counterpart.get(part), old_root, new_root, f"{path}/{part}")
    if "default" in old and old.get("default") != new.get("default", object()):
        yield f"{path or '/'}: the default changed"


def _variants(schema: Schema, root: Schema) -> Iterator[Schema]:
    """Yield the alternatives of a schema with references followed."""
    reference = schema.get("$ref")
    if reference is not None:
        yield from _variants(root["$defs"][reference.rpartition("/")[2]], root)
    elif "anyOf" in schema:
        for one in schema["anyOf"]:
            yield from _variants(one, root)
    else:
        yield schema


def _kind(schema: Schema) -> str:
    kind = str(schema.get("type", "anything"))
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _choices(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found: list[Any] | None = schema.get("enum")
    return found


def _constraints(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for name in CONSTRAINTS:
        if old.get(name) != new.get(name):
            yield f"{path}: {name} changed from {old.get(name)} to {new.get(name)}"
    before, after = _choices(old), _choices(new)
    if after is None:
        return
    if before is None:
        yield f"{path}: only certain values are allowed now"
        return
    for value in before:
        if value not in after:
            yield f"{path}: the value {value!r} is no longer allowed"


def _properties(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    must_before, must_after = set(old.get("required", ())), set(new.get("required", ()))
    for name, field in before.items():
        if name not in after:
            yield f"{path}/{name}: the field is gone"
            continue
        if name in must_after - must_before:
            yield f"{path}/{name}: the field is required now"
        if name in must_before - must_after:
            yield f"{path}/{name}: the field may be absent now"
        yield from _compare(field, after[name], old_root, new_root, f"{path}/{name}")
    for name in sorted(must_after - set(before)):
        yield f"{path}/{name}: a new field is required"


def _nested(old: object, new: object, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _compare(old, new, old_root, new_root, path)
    elif old != new:
        yield f"{path}: changed from {old} to {new}"
