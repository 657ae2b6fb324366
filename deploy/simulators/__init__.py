"""Simulators of outside systems, for development and tests: strict where the vendor is strict. README.md tells."""
