"""Tamper-evident log of opaque entries: journal, blocks, heads, proofs and their verifier.

Imports no other room of this project and could be shipped alone.
"""
