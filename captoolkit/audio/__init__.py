"""Do. The only rooms that touch sound: what is in a file, its samples, and back into a file."""
