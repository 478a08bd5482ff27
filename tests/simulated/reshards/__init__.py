"""Simulated reshards: a world of its own around the code that runs in production."""
