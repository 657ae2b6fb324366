"""`stafett`: import, follow, explain and repair from a terminal, over the services' HTTP APIs."""
