"""The trainable vectors, and the text conditioner that places them among T5's own embeddings."""
