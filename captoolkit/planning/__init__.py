"""Decide. Pure: numbers in, decisions out; no files, no processes, no network."""
