"""Ask. One segment in, one caption out."""
