"""Services: limits, prices, regions and keys; the targets as data."""
