"""Lightning data modules: real datasets in their official layouts, and synthetic twins drawn on the spot."""
