"""What tells two files, or two models, apart."""
import hashlib
from pathlib import Path
import typing as tp

import torch


def file_hash(path: tp.Union[str, Path]) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def tensors_hash(tensors: tp.Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over the names and float32 values of some tensors, the same on every device and in every order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().to('cpu', torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()
