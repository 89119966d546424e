"""Textual inversion for audiocraft: teach a frozen text-to-music model a new word from a few recordings."""
__version__ = '0.1.0'
