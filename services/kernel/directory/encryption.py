"""TLS to the directory, with the host name checked by Python's ssl while it shakes hands (RFC 9525).

ldap3 2.9.1 checks names itself, after the handshake: by a function that Python 3.12 removed, or by a copy of it that
knows no IP addresses, and it leaks the socket when the check fails.
"""

import ssl
from typing import Any

import ldap3
from typing_extensions import override


class StrictTls(ldap3.Tls):  # type: ignore[misc]
    """TLS 1.2 or newer; the certificate must be valid, by a trusted authority, and for the host that was asked for.

    Args:
        ca_file: Authorities to trust, in PEM; None for those that the system trusts.
    """

    def __init__(self, ca_file: str | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file)

    @override
    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Encrypt the connection, for ldap3: at once for LDAPS, after the answer to StartTLS.

        Raises:
            ssl.SSLError: The server is not who it should be; the socket is closed.
        """
        context = ssl.create_default_context(cafile=self.ca_certs_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        connection.socket = context.wrap_socket(connection.socket, server_hostname=connection.server.host)
