"""From key holders to signatures. `registry` maps a key's URI to its holder."""
