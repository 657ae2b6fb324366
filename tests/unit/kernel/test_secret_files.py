"""Secrets that are mounted as files are settings like any other; the environment comes before them."""

from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.fernet import Fernet

from services.accounts.settings import Settings

SECRETS = ("DATABASE_URL", "BROKER_URL", "DEAD_LETTER_KEY", "ERASURE_KEY")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Settings]:
    class Mounted(Settings):
        SECRETS: ClassVar[Path] = tmp_path

    for name in ("ORGANISATIONS", "JWKS", "ISSUER", "TARGETS", "POLICY_DIR"):
        monkeypatch.setenv(f"STAFETT_{name}", "told")
    for name in SECRETS:
        monkeypatch.delenv(f"STAFETT_{name}", raising=False)
    return Mounted


def test_files_bring_what_the_environment_does_not_say(settings: type[Settings], tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    for name, value in zip(SECRETS, ("postgresql://a", "amqp://b", key, "hemligt" * 5), strict=True):
        (tmp_path / f"STAFETT_{name}").write_text(f"{value}\n")
    found = settings()
    assert (found.database_url, found.broker_url) == ("postgresql://a", "amqp://b")
    assert found.dead_letter_key.get_secret_value() == key
    assert found.erasure_key.get_secret_value() == "hemligt" * 5
    assert "hemligt" * 5 not in repr(found)


def test_the_environment_comes_first(settings: type[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        (tmp_path / f"stafett_{name.lower()}").write_text("of the file" * 3)
    monkeypatch.setenv("STAFETT_DATABASE_URL", "of the environment")
    found = settings()
    assert (found.database_url, found.broker_url) == ("of the environment", "of the file" * 3)
