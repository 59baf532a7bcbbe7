"""Pages for signing in and out, one's own account, and the organisation's people and tokens."""
