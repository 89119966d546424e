"""What of the paper's optimisation neither torch nor audiocraft has."""
