"""`lesions serve`: a page and an API."""
