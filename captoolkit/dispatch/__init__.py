"""Ask about many segments."""
