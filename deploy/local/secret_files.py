"""Secrets of a local installation: generated once, kept in files that only their owner may read."""

import json
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

from deploy.local.server import write_private


class SecretFiles:
    """The secrets below one folder; each is made when it is first asked for and stays the same afterwards."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder

    def database_passwords_file(self, services: tuple[str, ...]) -> Path:
        """Give the JSON file {service: password} for the services' database roles."""
        self._named("database", services)
        return self._path("database")

    def database_password(self, service: str) -> str:
        """Give the password of a service's database role."""
        return self._named("database", (service,))[service]

    def broker_passwords(self, services: tuple[str, ...]) -> dict[str, str]:
        """Give the passwords of the services' broker users."""
        return {name: password for name, password in self._named("broker", services).items() if name in services}

    def dead_letter_key(self, service: str) -> str:
        """Give the Fernet key that a service encrypts its dead letters with."""
        kept = self._read("dead_letter_keys")
        if service not in kept:
            kept[service] = Fernet.generate_key().decode()
            self._write("dead_letter_keys", kept)
        return kept[service]

    def session_key(self) -> str:
        """Give the Fernet key that the portal encrypts its sessions with."""
        return self.dead_letter_key("portal-sessions")

    def erasure_key(self) -> str:
        """Give what the ids and names of erased people are hashed with; the same for all services."""
        return self._named("erasure", ("key",))["key"]

    def activation_key(self) -> str:
        """Give what activation codes are hashed with."""
        return self._named("activation", ("key",))["key"]

    def server(self, name: str) -> str:
        """Give a password or cookie of one of the servers themselves."""
        return self._named("servers", (name,))[name]

    def _named(self, file: str, names: tuple[str, ...]) -> dict[str, str]:
        kept = self._read(file)
        if missing := [name for name in names if name not in kept]:
            kept.update({name: secrets.token_hex(24) for name in missing})
            self._write(file, kept)
        return kept

    def _path(self, file: str) -> Path:
        return self._folder / f"{file}.json"

    def _read(self, file: str) -> dict[str, str]:
        path = self._path(file)
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _write(self, file: str, kept: dict[str, str]) -> None:
        write_private(self._path(file), json.dumps(kept, indent=1))
