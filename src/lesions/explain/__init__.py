"""Where a network looks: class maps, and measures of how far they can be trusted."""
