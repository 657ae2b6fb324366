"""Tests by kind: unit, contract, conformance, integration, e2e, chaos, benchmarks."""
