"""The only reader of the environment. `make up` leaves its addresses in `.run/env/cli.env`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_PROJECT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """`STAFETT_*`, from the environment first, else from the project's `.run/env/cli.env`, wherever one stands."""

    model_config = SettingsConfigDict(
        env_prefix="STAFETT_",
        env_file=_PROJECT / ".run/env/cli.env",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    ingestion_url: str = "http://127.0.0.1:8001"
    status_url: str = "http://127.0.0.1:8003"
    accounts_url: str = "http://127.0.0.1:8002"
    orgtree_url: str = "http://127.0.0.1:8004"
    token: SecretStr | None = None
    token_file: Path | None = None
    lang: str = Field(default="", validation_alias="LANG")
    columns: str = Field(default="", validation_alias="COLUMNS")
