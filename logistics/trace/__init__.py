"""Trace codes: GS1 keys, the chain id of each, and the links that stand in QR codes. Pure."""
