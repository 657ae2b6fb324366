"""The local runner: private servers and all services on this machine, without Docker."""
