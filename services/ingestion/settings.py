"""The service's settings: the common ones, the secrets of signed webhooks, where mappings and dropped files are."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.kernel.erasure import long_enough
from services.kernel.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `STAFETT_*`; `generation` is raised after a backup was restored.

    `hook_secrets`: a line for each secret, `<hook> whsec_<base64>`; a hook with two takes both, so that they can be
    changed without a gap. `mappings`: the folder of the mappings that sources agree on. `folders`: below it lie the
    folders in which sources drop files; without it none is watched. `folder_seconds`: how long between two looks.
    `erasure_key`: what erased people's ids are hashed with; without it nobody can be erased, and it never changes.
    """

    http_port: int = 8001
    hook_secrets: SecretStr = SecretStr("")
    mappings: Path = Path("deploy/mappings")
    folders: Path | None = None
    erasure_key: Annotated[SecretStr, AfterValidator(long_enough)] = SecretStr("")
    folder_seconds: float = Field(default=20.0, gt=0)
