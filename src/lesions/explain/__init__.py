"""Where a network looks: class activation maps, and how much of them lies in the lesion."""
