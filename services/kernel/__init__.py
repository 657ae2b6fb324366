"""The only shared code: a closed list of nouns that at least two services need."""
