"""The only reader of the environment."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from services.kernel.settings import ProcessSettings


class Settings(ProcessSettings):
    """Read from `STAFETT_*`. The portal has no broker and no target; it has sessions, an issuer and the APIs."""

    http_port: int = 8010

    public_url: str
    """Where browsers reach the portal: scheme, host and port, nothing after them."""
    oidc_issuer: str
    """The OpenID provider; its metadata lie below `/.well-known/openid-configuration`."""
    oidc_client_id: str = "stafett-portal"
    oidc_client_secret: SecretStr | None = None
    oidc_scope: str = "openid profile"
    session_key: SecretStr
    """Fernet key: what a session holds is encrypted in the database."""
    session_hours: float = Field(default=10, gt=0, le=24)
    idle_minutes: float = Field(default=60, gt=0)
    glass_minutes: float = Field(default=15, gt=0, le=60)
    deadline_seconds: float = Field(default=4, gt=0)
    """How long a part of a page waits for its API."""
    policy_seconds: float = Field(default=60, gt=0)
    """How long the policy desk waits: a plan looks at everybody."""

    ingestion_url: str
    accounts_url: str
    orgtree_url: str
    status_url: str

    @property
    def secure(self) -> bool:
        """Whether browsers come by TLS, so that cookies are for TLS only."""
        return self.public_url.startswith("https://")

    @property
    def oidc_origin(self) -> str:
        """Where the provider's pages are."""
        parts = urlsplit(self.oidc_issuer)
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _tls_in_production(self) -> Self:
        if self.environment == "production":
            for name in ("public_url", "oidc_issuer"):
                if not getattr(self, name).startswith("https://"):
                    raise ValueError(f"{name} must be https in production")
        return self
