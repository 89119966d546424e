"""Random draws that follow from named numbers alone, so that a run resumed goes on as one that was never stopped."""
import numpy as np
import torch


def generator(*numbers: int) -> torch.Generator:
    """A generator for one draw or one batch, seeded by numbers such as a seed, an epoch and an index, well mixed."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) % 2 ** 63)
