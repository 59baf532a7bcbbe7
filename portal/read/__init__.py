"""The read model: what pages show, as SQL tables fed from a chain machine; never the truth."""
