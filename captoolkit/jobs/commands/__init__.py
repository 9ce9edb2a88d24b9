"""Many recordings in one plain command: processes, outcomes, names, time left."""
