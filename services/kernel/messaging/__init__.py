"""The broker carries, the database remembers: outbox, relay, topology, intake, inputs, replay."""
