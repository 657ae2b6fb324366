"""Names and secrets as Active Directory takes them."""

import re
import secrets

from services.kernel.distinguished import domain

_LOGIN = re.compile(r'[^"/\\\[\]:;|=,+*?<>@\x00-\x1f]{1,20}')


def is_login(text: str) -> bool:
    """Tell whether a sAMAccountName of a user can be this: at most 20 characters, none that the domain refuses."""
    return _LOGIN.fullmatch(text) is not None


def dns_name(base: str) -> str:
    """Return the domain's name in the DNS."""
    return ".".join(part.partition("=")[2] for part in domain(base).split(",")).lower()


def unicode_password(password: str) -> bytes:
    """Return a password as `unicodePwd` takes it ([MS-ADTS] 3.1.1.3.1.5.1)."""
    return f'"{password}"'.encode("utf-16-le")


def random_password() -> str:
    """Return a password that nobody has seen, of the three kinds of characters that every policy asks for."""
    return f"{secrets.token_urlsafe(30)}-aA1"
