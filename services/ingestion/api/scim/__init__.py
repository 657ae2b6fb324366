"""SCIM 2.0 (RFC 7643, RFC 7644) at HR's door: the protocol is scim2-server's, what is kept is the ledger's."""
