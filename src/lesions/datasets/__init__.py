"""Where photographs and metadata come from, and their conversion to HAM10000's layout."""
