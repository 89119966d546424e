"""What tells two files, or two models, apart."""
import hashlib
from pathlib import Path
import typing as tp

import torch


def bytes_hash(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_hash(path: tp.Union[str, Path]) -> str:
    """SHA-256 of a file's bytes."""
    return bytes_hash(Path(path).read_bytes())


def tensors_hash(tensors: tp.Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over the names and float32 values of some tensors, the same on every device and in every order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().to('cpu', torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()
