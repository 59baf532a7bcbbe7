"""The gateway and the chain machine as one Debian package."""
