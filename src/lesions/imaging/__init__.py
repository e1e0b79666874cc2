"""Read, check and resize photographs."""
