"""EPCIS 2.0 and CBV 2.0: documents, event hashes, queries and what follows from events. Pure."""
