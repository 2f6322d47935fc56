"""Alerts: rules about the price, what they come to, and how it reaches people, at least once."""
