"""What the portal itself holds and cannot rebuild: accounts, acknowledgements, settings."""
