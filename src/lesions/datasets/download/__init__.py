"""Downloads into a cache that all clones on a machine share."""
