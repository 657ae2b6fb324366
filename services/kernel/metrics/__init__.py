"""Metrics for Prometheus: what the parts count, the middleware that counts requests, and the port that shows them."""
