"""Mapping files, by the name that an organisation has agreed with a source."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from services.ingestion.domain.mapping import FileMapping, MappingRefused, build
from services.kernel.settings import OrganisationSettings


def load(path: Path) -> FileMapping:
    """Read one mapping.

    Raises:
        MappingRefused: It cannot be read or used.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MappingRefused(f"{path}: {error}") from error
    return build(content, str(path))


def agreed(folder: Path, organisations: Mapping[str, OrganisationSettings]) -> Mapping[str, FileMapping]:
    """Return the mapping of each source that has one; a source belongs to one organisation.

    Raises:
        MappingRefused: One of them cannot be read or used.
    """
    return MappingProxyType(
        {
            source: load(folder / f"{terms.mapping}.toml")
            for settings in organisations.values()
            for source, terms in settings.agreed.items()
            if terms.mapping is not None
        }
    )
