"""Asking captioners about segments: what is known already, what it may cost, when, and again."""
