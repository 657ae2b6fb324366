"""Files of every format: what is refused whole, what is set aside, and what a fuzzer has found."""

import io
import zipfile
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingestion.adapters import reading, workbook
from services.ingestion.domain.mapping import Cell, FileMapping, build
from services.ingestion.domain.rows import FileRefused, Reject, Row

FORMATS = ("csv", "xlsx", "jsonl")


def mapping(form: str, **more: object) -> FileMapping:
    fields = {"externalId": {"column": "id"}, "name.given": {"column": "given"}, "name.family": {"column": "family"}}
    return build({"about": "x", "format": form, "fields": fields, **more}, "m.toml")


def read(content: bytes, form: str = "csv", **more: object) -> list[Row | Reject]:
    return list(reading.rows(io.BytesIO(content), mapping(form, **more)))


def refused(content: bytes, form: str = "csv", **more: object) -> str:
    with pytest.raises(FileRefused) as found:
        read(content, form, **more)
    return found.value.code


def cells(found: list[Row | Reject]) -> list[list[Cell]]:
    return [list(row.cells.values()) for row in found if isinstance(row, Row)]


def book(*lines: list[object], title: str = "Personal") -> bytes:
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet.title = title
    for line in lines:
        sheet.append(line)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_encoding_and_separator_are_found_out(encoding: str, separator: str) -> None:
    text = separator.join(["id", "given", "family"]) + "\r\n" + separator.join(["1", "Åsa", "Öberg"]) + "\r\n"
    assert cells(read(text.encode(encoding))) == [["1", "Åsa", "Öberg"]]


def test_what_is_declared_is_not_guessed() -> None:
    text = "id;given;family\n1;Åsa;Öberg\n"
    assert cells(read(text.encode("cp850"), encoding="cp850", separator=";")) == [["1", "Åsa", "Öberg"]]
    assert refused(text.encode("cp1252"), encoding="utf-8") == "file.encoding"
    assert refused(text.encode(), separator=",") == "file.header_missing"


def test_a_quoted_value_may_have_line_breaks_and_rows_keep_their_line() -> None:
    found = read(b'id;given;family\n1;"A\nB;C";"D ""E"""\n\n2;F;G\n')
    assert cells(found) == [["1", "A\nB;C", 'D "E"'], ["2", "F", "G"]]
    assert [row.number if isinstance(row, Row) else row.row for row in found] == [2, 5]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file.empty"),
        (b"\n \n", "file.empty"),
        (b"id;given;family\n", "file.no_rows"),
        (b"id;given\n1;A\n", "file.header_missing"),
        (b"id;given;family;id\n1;A;B;2\n", "file.header_twice"),
        (b"1;A;B\n2;C;D\n", "file.header_missing"),
        (b"id;given;family\n1;A;B\n2;C", "file.truncated"),
        (b'id;given;family\n1;"A;B\n2;C;D\n', "file.truncated"),
        ("id;given;family\n1;Åsa;Ö".encode()[:-1] + b"\n", "file.encoding"),
        ("id;given;family\n1;Åsa;B\n".encode() + "2;Åke;B\n".encode("cp1252"), "file.encoding"),
        ("id;given;family\n1;Åsa;B\n".encode("utf-16-le"), "file.encoding"),
        (b"id;given;family\n1;\x81;B\n", "file.encoding"),
        (b"id;given;family\n1;" + b"x" * 1_000_001 + b";B\n", "file.line_too_long"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_refused_whole(content: bytes, code: str) -> None:
    assert refused(content) == code


def test_a_poison_row_is_set_aside_and_the_rest_goes_on() -> None:
    found = read(b'id;given;family\n1;A;B\n2;C\n3;"D"x;E\n4;F;G;H\n5;I;J\n')
    assert [(one.row, one.code) for one in found if isinstance(one, Reject)] == [
        (3, "row.columns"),
        (4, "row.quotes"),
        (5, "row.columns"),
    ]
    assert [row[0] for row in cells(found)] == ["1", "5"]


def test_lines_below_the_header_are_skipped_when_the_mapping_says_so() -> None:
    assert cells(read(b"id,given,family\nLabel,Label,Label\n1,A,B\n", skip=1)) == [["1", "A", "B"]]


def test_a_workbook_has_typed_cells_and_its_formulas_are_text() -> None:
    when = datetime(2026, 6, 1)  # noqa: DTZ001 - a spreadsheet has no zones
    content = book(["id", "given", "family"], [1, "=1+1", when], [], [2.5, None, True])
    assert cells(read(content, "xlsx")) == [[1, "=1+1", date(2026, 6, 1)], [2.5, "", True]]
    assert refused(content, "xlsx", sheet="Annan") == "file.sheet_missing"
    assert len(read(content, "xlsx", sheet="Personal")) == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file.empty"),
        (b"PK\x03\x04", "file.malformed"),
        (b"id;given;family\n1;A;B\n", "file.malformed"),
        (book(["id", "given", "family"], [1, "A", "B"])[:-200], "file.malformed"),
        (book(), "file.empty"),
        (book(["id", "given", "family"]), "file.no_rows"),
        (book(["id", "given"], [1, "A"]), "file.header_missing"),
    ],
    ids=["empty", "stub", "csv", "truncated", "blank", "no rows", "header"],
)
def test_a_workbook_that_cannot_be_trusted_is_refused_whole(content: bytes, code: str) -> None:
    assert refused(content, "xlsx") == code


def _zipped(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_a_bomb_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(_zipped(sheet=b"0" * 20_000_000), "xlsx") == "file.bomb"
    assert refused(_zipped(**{f"p{number}": b"" for number in range(1_001)}), "xlsx") == "file.bomb"
    monkeypatch.setattr(workbook, "UNPACKED_LIMIT", 1_000)
    assert refused(book(["id", "given", "family"], [1, "A", "B"]), "xlsx") == "file.bomb"


def test_one_cell_far_down_does_not_make_a_million_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet.append(["id", "given", "family"])
    sheet.cell(row=1_048_576, column=1, value="1")
    file = io.BytesIO()
    made.save(file)
    monkeypatch.setattr(workbook, "LINE_LIMIT", 1_000)
    assert refused(file.getvalue(), "xlsx") == "file.too_many_rows"


def test_json_lines_tell_absent_null_and_false_apart() -> None:
    found = read(b'{"id": "1", "given": null}\n\n{"id": 2, "given": false, "name": {"family": "B"}}\n', "jsonl")
    assert [row.cells for row in found if isinstance(row, Row)] == [
        {"id": "1", "given": None},
        {"id": 2, "given": False, "name.family": "B"},
    ]


def test_a_line_that_is_no_object_is_set_aside() -> None:
    found = read(b'{"id": "1"}\nnull\n{"id":\n{"id": ["2"]}\n{"id": "3"}\n', "jsonl")
    assert [(one.row, one.code) for one in found if isinstance(one, Reject)] == [
        (2, "row.not_an_object"),
        (3, "row.not_an_object"),
        (4, "row.nested"),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file.empty"),
        (b"\n\n", "file.no_rows"),
        (b'{"id": "1"}\n{"id": "2', "file.truncated"),
        ('{"id": "1", "given": "Åsa"}\n'.encode("cp1252"), "file.encoding"),
        (b'{"id": "' + b"x" * 1_000_001, "file.line_too_long"),
    ],
    ids=["empty", "blank", "truncated", "encoding", "long"],
)
def test_json_lines_that_cannot_be_trusted_are_refused_whole(content: bytes, code: str) -> None:
    assert refused(content, "jsonl") == code


def test_a_file_has_a_largest_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROW_LIMIT", 2)
    assert refused(b"id;given;family\n" + b"1;A;B\n" * 3) == "file.too_many_rows"


def survives(content: bytes, form: str) -> None:
    """Whatever comes is rows, rejects or a refusal, and nothing else."""
    try:
        found = read(content, form)
    except FileRefused as refusal:
        assert refusal.code.startswith("file.")  # noqa: PT017 - both ends are right
    else:
        assert found


SOUND: dict[str, bytes] = {
    "csv": 'id;given;family\n1;"Åsa\nx";B\n2;C;D\n'.encode(),
    "xlsx": book(["id", "given", "family"], [1, "A", "B"], ["=2", None, 3.5]),
    "jsonl": b'{"id": "1", "given": null}\n{"id": 2}\n',
}


@pytest.mark.parametrize("form", FORMATS)
@settings(deadline=None)
@given(content=st.binary(max_size=400))
def test_no_bytes_break_a_reader(form: str, content: bytes) -> None:
    survives(content, form)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@settings(deadline=None)
@given(text=st.text(alphabet='id;given\n\r\t,|"{}[]:0e.-åÅ\x00\u2028\ufeff', max_size=120), start=st.booleans())
def test_no_text_breaks_a_reader(form: str, text: str, start: bool) -> None:
    survives((SOUND[form].decode() if start else "").encode() + text.encode(), form)


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_breaks_no_reader(form: str, data: st.DataObject) -> None:
    content = bytearray(SOUND[form])
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(content) - 1))
        content[where] = data.draw(st.integers(0, 255))
    survives(bytes(content[: data.draw(st.integers(1, len(content)))]), form)


@settings(deadline=None)
@given(
    table=st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=12)] * 3), min_size=1
    )
)
def test_what_is_written_by_the_book_is_read_back(table: list[tuple[str, str, str]]) -> None:
    lines = ["id;given;family", *(";".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table)]
    told = [list(row) for row in table if any(row)]
    if told:
        assert cells(read("\n".join(lines).encode() + b"\n")) == told
