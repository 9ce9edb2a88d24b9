"""What a batch writes: recipe, rows, names, tar files, tables."""
