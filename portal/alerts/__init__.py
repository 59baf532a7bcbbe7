"""Alerts: what is wrong now, who has taken it on, who was told."""
