"""The chain of several organisations: application, embedded engine, client and server.

`consortium.client` is the one door for gateway and portal.
"""
