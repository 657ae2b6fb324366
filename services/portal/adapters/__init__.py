"""The outside: the services' APIs and the OpenID provider, both by HTTP."""
