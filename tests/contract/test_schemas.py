"""The committed schemas are what the models say, and no existing version may change incompatibly."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from contracts import generate
from contracts.compatibility import incompatibilities

Change = Callable[[dict[str, Any]], object]
PERSON = "se.stafett.person.joiner.v1"
HR = "se.stafett.hr.person.recorded.v1"


def test_committed_schemas_and_rules_are_what_the_models_say() -> None:
    assert generate.drift() == []


def test_generation_is_deterministic() -> None:
    assert generate.files() == generate.files()


def committed_at_head(type_: str) -> dict[str, Any] | None:
    """Return the schema as of the last commit, which a regeneration in the tree cannot have changed."""
    git = shutil.which("git")
    if git is None:
        return None
    shown = subprocess.run(
        [git, "show", f"HEAD:contracts/schemas/{type_}.json"], cwd=generate.FOLDER, capture_output=True, check=False
    )
    found: dict[str, Any] | None = json.loads(shown.stdout) if shown.returncode == 0 else None
    return found


@pytest.mark.parametrize("type_", sorted(generate.schemas()))
def test_no_existing_version_changes_incompatibly(type_: str) -> None:
    new = generate.schemas()[type_]
    in_tree = json.loads((generate.SCHEMAS / f"{type_}.json").read_text(encoding="utf-8"))
    for old in (in_tree, committed_at_head(type_)):
        if old is not None:
            assert incompatibilities(old, new) == []


def changed(type_: str, change: Change) -> list[str]:
    old = generate.schemas()[type_]
    new = copy.deepcopy(old)
    change(new)
    return incompatibilities(old, new)


def employment(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"]["Employment"]
    return found


def rename(schema: dict[str, Any]) -> None:
    fields = employment(schema)["properties"]
    fields["percentage"] = fields.pop("extent")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda s: employment(s)["properties"].pop("extent"),
            "/data/record/employments/items/extent: the field is gone",
        ),
        (rename, "/data/record/employments/items/extent: the field is gone"),
        (
            lambda s: s["$defs"]["Reason"]["enum"].remove("hire"),
            "/data/reason: the value 'hire' is no longer allowed",
        ),
        (
            lambda s: s["$defs"]["PersonChanged"]["required"].append("baseline"),
            "/data/baseline: the field is required now",
        ),
        (
            lambda s: s["$defs"]["PersonChanged"]["required"].remove("reason"),
            "/data/reason: the field may be absent now",
        ),
        (
            lambda s: (
                s["$defs"]["PersonChanged"]["properties"].update(added={"type": "string"}),
                s["$defs"]["PersonChanged"]["required"].append("added"),
            ),
            "/data/added: a new field is required",
        ),
        (
            lambda s: s["$defs"]["PersonChanged"]["properties"]["revision"].update(minimum=2),
            "/data/revision: minimum changed from 1 to 2",
        ),
        (
            lambda s: employment(s)["properties"]["extent"].update(type="integer"),
            "/data/record/employments/items/extent: number is no longer allowed",
        ),
        (
            lambda s: employment(s)["properties"]["validFrom"].update(format="date-time"),
            "/data/record/employments/items/validFrom: string (date) is no longer allowed",
        ),
        (
            lambda s: employment(s)["properties"]["validTo"].update(anyOf=[{"format": "date", "type": "string"}]),
            "/data/record/employments/items/validTo: null is no longer allowed",
        ),
        (lambda s: s["properties"].pop("subject"), "/subject: the field is gone"),
        (
            lambda s: employment(s)["properties"]["cancelled"].update(default=True),
            "/data/record/employments/items/cancelled: the default changed",
        ),
        (
            lambda s: s["$defs"]["Name"]["properties"]["given"].update(enum=["Anna"]),
            "/data/record/name/given: only certain values are allowed now",
        ),
        (
            lambda s: s["properties"]["organisation"].update(pattern="^x$"),
            "/organisation: pattern changed from ^[a-z][a-z0-9-]{1,62}$ to ^x$",
        ),
    ],
)
def test_an_incompatible_change_is_refused(change: Change, expected: str) -> None:
    assert expected in changed(PERSON, change)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: None,
        lambda s: employment(s)["properties"].update(added={"type": "string"}),
        lambda s: s["$defs"]["Reason"]["enum"].append("added_later"),
        lambda s: employment(s).update(title="another title"),
        lambda s: s["$defs"]["Name"]["properties"]["given"].update(description="said better"),
        lambda s: employment(s)["properties"]["validFrom"].update(
            anyOf=[{"type": "string", "format": "date"}, {"type": "null"}]
        ),
    ],
)
def test_a_compatible_change_is_let_through(change: Change) -> None:
    assert changed(PERSON, change) == []


def test_a_map_whose_values_are_narrowed_is_refused() -> None:
    type_ = "se.stafett.step.recorded.v1"
    field = "/data/parameters"

    def narrow(schema: dict[str, Any]) -> None:
        schema["$defs"]["StepRecorded"]["properties"]["parameters"]["additionalProperties"] = {"type": "string"}

    assert f"{field}/additionalProperties: integer is no longer allowed" in changed(type_, narrow)


def test_a_field_that_may_be_absent_but_not_null_shows_no_default_null() -> None:
    fields = generate.schemas()[HR]["$defs"]["HrPersonRecorded"]["properties"]
    for name in ("name", "protection", "employments", "baseline"):
        assert "default" not in fields[name]
        assert (fields[name]["x-absent-allowed"], fields[name]["x-null-allowed"]) == (True, False)
    assert fields["birthDate"]["x-null-allowed"] is True
    assert "default" not in fields["birthDate"], "absent keeps the value at HR's door"


def test_every_field_says_whether_it_may_be_absent_and_whether_null() -> None:
    for type_, schema in generate.schemas().items():
        for node in (schema, *schema["$defs"].values()):
            for name, field in node.get("properties", {}).items():
                assert {"x-absent-allowed", "x-null-allowed"} <= set(field), f"{type_} {name}"
