"""The service's settings: the common ones, and the secrets of signed webhooks."""

from pydantic import SecretStr

from services.kernel.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `STAFETT_*`; `generation` is raised after a backup was restored.

    `hook_secrets`: a line for each secret, `<hook> whsec_<base64>`; a hook with two takes both, so that they can be
    changed without a gap.
    """

    http_port: int = 8001
    hook_secrets: SecretStr = SecretStr("")
