"""Settings of the simulators, from `STAFETT_SIM_*`; secrets from the environment or from a file."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class GraphSettings(BaseSettings):
    """Settings of the Graph simulator.

    Attributes:
        environment: It refuses to start anywhere but in development.
        certificate_file: Its TLS certificate, PEM; with `key_file`.
        control_token: What the control API wants as bearer; else `control_token_file`.
        seeds: A folder of JSON files, one tenant each.
        state: A file that keeps what is in the directories over a restart; without it all is forgotten.
        log: Where the request log is added to, as JSON lines.
        seed: Of the chance that decides on ids and on storms.
    """

    model_config = SettingsConfigDict(env_prefix="STAFETT_SIM_", extra="ignore", frozen=True)

    environment: Literal["development"]
    host: str = "127.0.0.1"
    port: int = 18012
    control_port: int = 18013
    certificate_file: Path
    key_file: Path
    control_token: SecretStr | None = None
    control_token_file: Path | None = None
    seeds: Path | None = None
    state: Path | None = None
    log: Path | None = None
    seed: int = 0
    token_lifetime: float = 3599
    write_limit: int = 3_000
    write_window: float = 150.0

    def control_secret(self) -> str:
        """Return the control API's token.

        Raises:
            ValueError: Neither the token nor its file is set.
        """
        if self.control_token is not None:
            return self.control_token.get_secret_value()
        if self.control_token_file is not None:
            return self.control_token_file.read_text().strip()
        message = "STAFETT_SIM_CONTROL_TOKEN or STAFETT_SIM_CONTROL_TOKEN_FILE must be set"
        raise ValueError(message)
