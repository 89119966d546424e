"""Base models: where they come from, and how concepts are put into them."""
