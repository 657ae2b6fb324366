"""What reads files: mappings, and rows of CSV, XLSX and JSON Lines."""
