"""Codes as sentences: the same parameters in both languages, and every field of a record has a name."""

import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from contracts.base import Message
from contracts.person import ConfidentialRecord, CoreRecord
from contracts.sentences import SENTENCES, sentence
from contracts.texts import CODES


def test_both_languages_need_the_same_parameters() -> None:
    for code, texts in SENTENCES.items():
        assert code in CODES
        needed = [set(re.findall(r"{(\w+)}", text)) for text in texts]
        assert needed[0] == needed[1], code


def test_a_sentence_without_its_parameters_is_the_codes_text() -> None:
    assert sentence("row.columns", {"found": 1, "wanted": 2}, "en") == "The row has 1 columns, the header 2."
    assert sentence("row.columns", {}, "sv") == "Fel antal kolumner."
    assert sentence("no.such", {}, "sv") == ""


def names(model: type[Message], prefix: str = "") -> Iterator[str]:
    for field in model.model_fields.values():
        yield f"{prefix}{field.alias}"
        for inner in types(field.annotation):
            if issubclass(inner, Message):
                yield from names(inner, f"{prefix}{field.alias}.")


def types(annotation: Any) -> list[type]:
    if get_origin(annotation) is None:
        return [annotation] if isinstance(annotation, type) else []
    return [found for part in get_args(annotation) for found in types(part)]


def test_every_field_of_a_record_has_a_name() -> None:
    found = {name for model in (CoreRecord, ConfidentialRecord) for name in names(model)}
    as_planned = {name.replace("terms.terms.", "employments.terms.", 1) for name in found}
    assert sorted(name for name in as_planned if f"field.{name}" not in CODES) == []
