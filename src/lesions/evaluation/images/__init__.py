"""Which images of a set are scored, or why none are, and what is known of them."""
