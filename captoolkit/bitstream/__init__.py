"""File formats as bytes."""
