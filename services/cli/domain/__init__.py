"""Pure: batches, the catalogue of texts, and what is shown."""
