"""A reorganisation is read as people write it."""

import pytest

from services.kernel.unit_plan import COLUMNS, PlanUnreadable, read


def test_a_table_is_read_with_its_rows_where_an_empty_cell_changes_nothing() -> None:
    text = 'unit;parent;manager;successors\r\n10; 2 ;;\r\n;;;\r\n11;;-;12 13\r\n"1;2";"två\nrader";;\r\n'
    found = [(one.row, one.edit) for one in read(text.encode("utf-8-sig"))]
    assert found == [
        (2, {"unit": "10", "parent": "2"}),
        (4, {"unit": "11", "manager": None, "successors": ["12", "13"]}),
        (6, {"unit": "1;2", "parent": "två\nrader"}),
    ]
    (comma,) = read("unit,name\n10,Vård\n".encode("cp1252"))
    assert comma.edit == {"unit": "10", "name": "Vård"}


def test_json_is_a_list_of_edits_or_an_object_that_has_one() -> None:
    for text in ('[{"unit": "1", "parent": null}]', ' {"units": [{"unit": "1", "parent": null}]}'):
        assert [(one.row, one.edit) for one in read(text.encode())] == [(1, {"unit": "1", "parent": None})]


@pytest.mark.parametrize(
    ("text", "code", "row"),
    [
        ("", "plan.columns", None),
        ("name\nx\n", "plan.columns", None),
        ("unit;lön\n1;2\n", "plan.columns", None),
        ("unit;unit\n1;2\n", "plan.columns", None),
        ("unit\n", "plan.no_edits", None),
        ("[]", "plan.no_edits", None),
        ("unit;name\n1;a\n2;b;c\n", "plan.cells", 3),
        ("[", "plan.no_json", None),
        ("[" * 100_000, "plan.no_json", None),
        ('[{"unit": "\\ud800"}]', "plan.no_json", None),
        ('{"units": {}}', "plan.no_json", None),
        ('[{"unit": "1"}, 2]', "plan.no_json", 2),
        (f"unit;name\n1;{'x' * 140_000}\n", "plan.cells", 2),
    ],
)
def test_what_is_no_plan_is_refused_with_its_row(text: str, code: str, row: int | None) -> None:
    with pytest.raises(PlanUnreadable) as refused:
        read(text.encode())
    assert (refused.value.code, refused.value.row) == (code, row)


def test_columns_that_are_not_known_are_named() -> None:
    with pytest.raises(PlanUnreadable) as refused:
        read("unit;lön;name;chef\n".encode())
    assert refused.value.columns == ("lön", "chef")
    assert "unit" in COLUMNS
