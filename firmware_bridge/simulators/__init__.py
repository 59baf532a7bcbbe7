"""Devices that are not there, speaking their real protocols byte for byte (`-m
firmware_bridge.simulators`).
"""
