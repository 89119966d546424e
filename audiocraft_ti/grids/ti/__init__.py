"""Grids of textual inversion."""
