"""People and programs that may look: passkeys, sessions, one-time codes, tokens."""
