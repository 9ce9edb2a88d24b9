"""The recordings to work on: names, folders, listings, buckets, manifests of data sets."""
