"""The files of a batch: recipe, rows, names, tar files, tables."""
