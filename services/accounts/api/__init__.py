"""Routes: the accounts of a person; policy, planned before it is activated."""
