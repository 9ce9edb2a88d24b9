"""Where a batch writes: a folder, or the objects of a store."""
