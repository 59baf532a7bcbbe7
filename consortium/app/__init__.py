"""The deterministic application: transactions and state in, state and results out. No IO, no
clock.
"""
