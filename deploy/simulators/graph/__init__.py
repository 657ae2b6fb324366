"""Microsoft Graph v1.0 and the Entra token endpoint, as far as accounts need them."""
