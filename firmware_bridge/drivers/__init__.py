"""The drivers that come with us; each is found by its entry point, as anybody's is."""
