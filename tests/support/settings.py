"""The only reader of the environment in the tests."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RunSettings(BaseSettings):
    """Servers that somebody else runs for the tests, whether ours run in containers, and whether this is CI."""

    model_config = SettingsConfigDict(env_prefix="STAFETT_TEST_")

    ci: bool = Field(default=False, validation_alias="CI")
    runtime: Literal["local", "docker"] = Field(default="local", validation_alias="RUNTIME")
    postgres_url: str | None = None
    rabbitmq_url: str | None = None
    ldap_url: str | None = None
    ldap_suffixes: tuple[str, ...] = ("dc=alvsund,dc=se", "dc=bergby,dc=se")
    ldap_bind_dn: str = "cn=stafett,dc=stafett-services"
    ldap_password: str = ""
    ldap_admin_password: str = ""
    ad_url: str | None = None
    ad_bases: tuple[str, ...] = ()
    ad_bind_dn: str = ""
    ad_password: str = ""
    ad_admin_dn: str = ""
    ad_admin_password: str = ""
    ad_ca_file: str | None = None
