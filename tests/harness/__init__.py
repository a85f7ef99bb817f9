"""What the template's tests stand on: running baked projects, and an external server."""
