"""From cells to records: what a mapping file may say, and what it must not."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.hr import HrPersonRecorded
from deploy.local.settings import ROOT
from services.ingestion.adapters.mappings import load
from services.ingestion.domain.fields import FIELDS
from services.ingestion.domain.mapping import Cells, FileMapping, MappingRefused, build
from services.ingestion.domain.rows import WITHHELD, Row, Told, rejected, subject, told, wanted

INVENTED = load(ROOT / "deploy/mappings/invented.toml")
WHOLE = {
    "POSTTYP": "P", "PERSONID": "p-1", "NAMN": "Öberg, Åsa", "TILLTALSNAMN": "", "PERSONNR": "19850709-9805",
    "SEKRETESS": "N", "ANSTNR": "17", "ANSTFORM": "T", "FROM": "2026-06-01", "TOM": "9999-12-31", "SYSSGRAD": "0,75",
    "LON": "32 500,50", "ENHET": "1100", "BEFATTNING": "Undersköterska", "ANSVAR": "11", "VERKSAMHET": "500",
    "CHEF": "p-9", "FRANVARO": "", "FRVDEL": "", "FRVFROM": "", "FRVTOM": "",
}  # fmt: skip


def row(number: int = 2, **cells: str) -> Row:
    return Row(number, {**WHOLE, **cells})


def read(*rows: Row, mapping: FileMapping = INVENTED) -> Told:
    return told(mapping, "p-1", rows)


def one(**rules: Any) -> FileMapping:
    """A mapping of JSON Lines with the external id and these rules; `__` stands for the dot."""
    fields = {name.replace("__", "."): rule for name, rule in rules.items()}
    return build({"about": "x", "format": "jsonl", "fields": {"externalId": {"column": "id"}, **fields}}, "m.toml")


def said(mapping: FileMapping, **cells: Any) -> dict[str, Any]:
    person = read(Row(1, {"id": "p-1", **cells}), mapping=mapping)
    assert person.rejects == []
    return person.record


def test_a_row_becomes_the_record_that_hr_could_have_sent() -> None:
    person = read(row())
    assert person.rejects == []
    record = HrPersonRecorded.model_validate_json(orjson.dumps(person.record))
    (employment,) = record.employments
    (place,) = employment.assignments
    assert (record.name.given, record.name.family, record.name.preferred) == ("Åsa", "Öberg", None)
    assert (employment.form, employment.valid_to, employment.extent) == ("permanent", None, 75.0)
    assert employment.terms is not None
    assert employment.terms.pay == "32500.50"
    assert (place.unit, place.cost_centre, place.manager) == ("u-1", "11-500", "p-9")
    assert employment.says("absences")
    assert employment.absences == ()


def test_rows_of_a_person_become_employments_and_absences_of_one_record() -> None:
    away = {"FRANVARO": "F", "FRVDEL": "H", "FRVFROM": "20260801", "FRVTOM": "99991231"}
    person = read(row(2), row(3, **away), row(4, ANSTNR="18", FROM="2026-09-01"))
    assert person.rejects == []
    record = HrPersonRecorded.model_validate_json(orjson.dumps(person.record))
    assert [one.id for one in record.employments] == ["17", "18"]
    assert [(one.kind, one.valid_to) for one in record.employments[0].absences] == [("parental", None)]
    assert len(record.employments[0].assignments) == 1


def test_rows_that_disagree_about_a_person_are_set_aside_together() -> None:
    person = read(row(2), row(3, NAMN="Berg, Åsa", ANSTNR="18"))
    found = {(reject.row, reject.code) for reject in person.rejects}
    assert found == {(3, "row.disagrees"), (2, "row.beside_wrong")}
    assert "name.family" in next(one.reason for one in person.rejects if one.row == 3)


@pytest.mark.parametrize(
    ("cells", "column", "value", "code"),
    [
        ({"ANSTFORM": "Q"}, "ANSTFORM", "Q", "value.unknown"),
        ({"ENHET": "7"}, "ENHET", "7", "value.unknown"),
        ({"FROM": "01/06/2026"}, "FROM", "01/06/2026", "date.unreadable"),
        ({"FROM": ""}, "FROM", "", "value.missing"),
        ({"SYSSGRAD": "1.000,5"}, "SYSSGRAD", "1.000,5", "number.unreadable"),
        ({"LON": "mycket"}, "LON", WITHHELD, "number.unreadable"),
        ({"FRANVARO": "?", "FRVFROM": "2026-08-01"}, "FRANVARO", WITHHELD, "value.unknown"),
        ({"FRANVARO": "F", "FRVDEL": "H"}, "FRVFROM", "", "value.missing"),
        ({"ANSTNR": ""}, "ANSTNR", "", "value.missing"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(cells: dict[str, str], column: str, value: str, code: str) -> None:
    person = read(row(7, **cells))
    assert (7, column, value, code) in {(one.row, one.column, one.value, one.code) for one in person.rejects}


def test_what_the_register_says_is_told_of_the_row_and_column_it_came_from() -> None:
    rows = [row(2), row(3, ANSTNR="18", TOM="2026-01-01")]
    person = read(*rows)
    found = rejected(INVENTED, person, rows, "/data/employments/1/validTo", "dates.end_before_start", "")
    assert (found.row, found.column, found.value) == (3, "TOM", "2026-01-01")


def test_only_the_rows_that_the_mapping_wants_are_read() -> None:
    assert wanted(INVENTED, WHOLE)
    assert not wanted(INVENTED, {**WHOLE, "POSTTYP": "O"})
    assert subject(INVENTED, WHOLE) == "p-1"
    assert subject(INVENTED, {**WHOLE, "PERSONID": " "}) is None


@settings(deadline=None)
@given(st.sampled_from(sorted(FIELDS)), st.sampled_from(["absent", "null"]))
def test_absent_null_and_empty_are_three_things_for_every_field(name: str, empty: str) -> None:
    field = FIELDS[name]
    if name == "externalId" or (empty == "null" and not field.nullable):
        return
    parent = name.rpartition(".")[0]
    keys = {"identifiers": "value", "employments": "id", "employments.assignments": "unit"}
    keys |= {"employments.absences": "validFrom"}
    needed = {f"{p}.{k}": {"column": f"{p}.{k}"} for p, k in keys.items() if name.startswith(f"{p}.")}
    needed[name] = {"column": name, "empty": empty}
    mapping = build({"about": "x", "format": "jsonl", "fields": {"externalId": {"column": "id"}, **needed}}, "m.toml")
    cells = {rule: "2026-01-01" for rule in needed if rule != name}

    def leaf(cells: Cells) -> tuple[bool, Any]:
        here: Any = told(mapping, "p-1", [Row(1, {"id": "p-1", **cells})]).record
        for part in name.split("."):
            here = here[0] if isinstance(here, list) else here
            if part not in here:
                return False, None
            here = here[part]
        return True, here

    if name in {f"{p}.{k}" for p, k in keys.items()}:
        assert leaf({**cells, name: None}) == (False, None)
        return
    assert leaf(cells) == (False, None), parent
    assert leaf({**cells, name: ""}) == ((True, None) if empty == "null" else (False, None))
    assert leaf({**cells, name: None}) == (True, None)


def test_false_is_not_absent() -> None:
    mapping = one(
        employments__id={"column": "e"}, employments__cancelled={"column": "c", "values": {"J": True, "N": False}}
    )
    assert said(mapping, e="1", c="N")["employments"] == [{"id": "1", "cancelled": False}]
    assert said(mapping, e="1", c="")["employments"] == [{"id": "1"}]
    assert said(mapping, e="1")["employments"] == [{"id": "1"}]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"employments.frm": {"column": "F"}}, "fields.employments.frm: there is no such field"),
        ({"employments.form": {"column": "F"}}, "fields.employments.id: it is needed"),
        ({"protection": {"column": "P", "values": {"S": "secret"}}}, "fields.protection: 'secret' is none of"),
        ({"protection": {"column": "P", "empty": "null"}}, "fields.protection: the field cannot be null"),
        ({"birthDate": {"column": "B", "dates": ["%Y"]}}, "fields.birthDate: %Y is no format of dates"),
        ({"birthDate": {"column": "B", "lookup": "days"}}, "fields.birthDate: there is no table lookup.days"),
        ({"birthDate": {"column": "B", "constant": "x"}}, "one of column, columns and constant is needed"),
        ({"birthDate": {"colum": "B"}}, "fields.birthDate.colum"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_with_file_key_and_reason(fields: dict[str, Any], said: str) -> None:
    content = {"about": "x", "format": "csv", "fields": {"externalId": {"column": "id"}, **fields}}
    with pytest.raises(MappingRefused) as found:
        build(content, "deploy/mappings/x.toml")
    assert str(found.value).startswith("deploy/mappings/x.toml: ")
    assert said in str(found.value)


@pytest.mark.parametrize("path", sorted((ROOT / "deploy/mappings").glob("*.toml")), ids=lambda path: path.stem)
def test_the_mappings_that_ship_can_be_used(path: Path) -> None:
    assert load(path).columns


def test_a_mapping_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("about = ")
    with pytest.raises(MappingRefused, match=r"x\.toml"):
        load(tmp_path / "x.toml")
