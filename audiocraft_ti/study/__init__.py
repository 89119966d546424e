"""The listening study: which of two clips matches a prompt best, as the paper's table 1 asks (P23, P25)."""
