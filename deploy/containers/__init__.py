"""The same installation in containers: what `docker-compose.yml` needs, and `make up` by docker compose."""
