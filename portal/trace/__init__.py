"""Trace codes and EPCIS: events of organisations, the resolver, and the consumer's page."""
