"""What is said to people of a code with its parameters: (Swedish, English), as whole sentences."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from contracts.texts import CODES, Texts

Language = Literal["sv", "en"]

SENTENCES: Texts = MappingProxyType(
    {
        "file.missing_many": (
            "{missing} av källans {population} personer saknas i filen. Det är fler än gränsen tillåter, så ingen av"
            " dem slutar förrän någon har beslutat.",
            "{missing} of the source's {population} people are missing from the file. That is more than the limit"
            " allows, so none of them leaves until somebody decides.",
        ),
        "file.leavers_many": (
            "{leavers} av källans {population} personer slutar med kort varsel enligt filen, {missing} av dem för att"
            " de saknas i den. Det är fler än gränsen tillåter, så ingen av dem slutar förrän någon har beslutat.",
            "{leavers} of the source's {population} people leave at short notice by this file, {missing} of them"
            " because they are missing from it. That is more than the limit allows, so none of them leaves until"
            " somebody decides.",
        ),
        "file.unit_leavers_many": (
            "{leavers} personer slutar med kort varsel i {units}. Det är fler än gränsen för en enhet tillåter, så"
            " ingen av dem slutar förrän någon har beslutat.",
            "{leavers} people leave {units} at short notice. That is more than the limit for a unit allows, so none of"
            " them leaves until somebody decides.",
        ),
        "file.missing_unsure": (
            "{missing} personer saknas i filen, men av {unread} rader gick det inte att läsa vem de gäller. De som"
            " saknas kan stå där, så ingen av dem slutar förrän någon har beslutat.",
            "{missing} people are missing from the file, but of {unread} rows nobody can tell whom they are about."
            " Those who are missing may be among them, so none of them leaves until somebody decides.",
        ),
        "file.bad_rows": (
            "{rows} rader går inte att införa, och av en omorganisation införs allt eller inget. Raderna visas nedan.",
            "{rows} rows cannot be taken, and of a reorganisation all is taken or nothing. The rows are shown below.",
        ),
        "file.units_missing": (
            "{missing} av källans enheter saknas i filen. Ingen av dem stänger förrän någon har beslutat.",
            "{missing} of the source's units are missing from the file. None of them closes until somebody decides.",
        ),
        "file.header_missing": (
            "Rubrikraden saknar {columns}. Utan de kolumnerna går filen inte att läsa.",
            "The header lacks {columns}. Without these columns the file cannot be read.",
        ),
        "file.header_twice": (
            "Rubrikraden har mer än en kolumn med namnet {columns}.",
            "The header has more than one column named {columns}.",
        ),
        "file.truncated": (
            "Filen är avhuggen: ett citattecken som öppnas efter rad {line} stängs aldrig.",
            "The file is cut off: a quote that opens after line {line} is never closed.",
        ),
        "file.encoding": (
            "Filen är inte {encoding}, så namnen i den skulle bli fel.",
            "The file is not {encoding}, so the names in it would be wrong.",
        ),
        "file.line_too_long": (
            "En rad är längre än {limit} tecken.",
            "A line is longer than {limit} characters.",
        ),
        "file.too_many_rows": (
            "Filen har fler än {limit} rader.",
            "The file has more than {limit} rows.",
        ),
        "file.sheet_missing": (
            "Arbetsboken har inget blad med namnet {sheet}.",
            "The workbook has no sheet named {sheet}.",
        ),
        "file.too_large": (
            "Filen är större än {limit} MB.",
            "The file is larger than {limit} MB.",
        ),
        "file.nobody": (
            "Inte en rad säger vem den gäller.",
            "Not one row tells whom it is about.",
        ),
        "row.columns": (
            "Raden har {found} kolumner, rubrikraden {wanted}.",
            "The row has {found} columns, the header {wanted}.",
        ),
        "row.disagrees": (
            "Personens rader {rows} säger olika om {columns}.",
            "The rows {rows} of this person disagree on {columns}.",
        ),
        "row.beside_wrong": (
            "En annan rad för samma person är fel: {rows}.",
            "Another row of the same person is wrong: {rows}.",
        ),
        "date.unreadable": (
            "Det är inget datum av formen {forms}.",
            "It is not a date of the form {forms}.",
        ),
        "value.unknown": (
            "Det är inget av orden {choices}.",
            "It is none of the words {choices}.",
        ),
        "number.unreadable": (
            "Det är inget tal med decimaler efter ”{decimal}”.",
            "It is not a number with decimals after “{decimal}”.",
        ),
    }
)


def sentence(code: str | None, parameters: Mapping[str, object], language: Language) -> str:
    """Return what a code says with its parameters; the code's own text when they do not fill the sentence.

    Empty for a code without any text.
    """
    index = ("sv", "en").index(language)
    texts = SENTENCES.get(str(code))
    if texts is not None:
        try:
            return texts[index].format(**parameters)
        except KeyError:
            pass
    plain = CODES.get(str(code), ("", ""))[index]
    return f"{plain[:1].upper()}{plain[1:]}." if plain else ""
