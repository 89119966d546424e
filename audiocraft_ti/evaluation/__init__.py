"""How good music is: embeddings of audio and text, and scores made of them."""

# What systems are compared with: recordings, and what a base makes of the same prompts without having learned anything.
REAL = 'real'
BASELINES = ('no concept', 'class word')
