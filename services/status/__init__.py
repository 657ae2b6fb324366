"""Who has a case, how far it has come, what remains and how long it took: read models, status API, commands."""
