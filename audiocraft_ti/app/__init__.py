"""A page in the browser: drop recordings in, learn, and make music with what was learned."""
