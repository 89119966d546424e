"""How good music is: embeddings of audio and text, and scores made of them."""
