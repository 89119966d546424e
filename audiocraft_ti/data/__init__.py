"""From a folder of recordings to pairs of codec tokens and neutral prompts."""
