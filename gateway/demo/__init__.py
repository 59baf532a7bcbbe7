"""`wharf demo`: real programs as processes, simulated devices, one account at the end."""
