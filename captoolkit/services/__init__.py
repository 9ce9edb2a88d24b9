"""What services take and cost: the targets as data."""
