"""A tuned model as its difference from the base that everybody has."""
from pathlib import Path
import typing as tp

from flashy.utils import write_and_rename
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
import torch

from ..errors import UserError
from .audioldm import AudioLDM

State = tp.Mapping[str, torch.Tensor]


def save_difference(path: Path, before: State, after: State, metadata: tp.Dict[str, str]) -> Path:
    """Write safetensors with what has changed, in float32; the file appears whole or not at all."""
    changes = {name: after[name].cpu().float() - tensor.float() for name, tensor in before.items()}
    data = save({name: change.contiguous() for name, change in changes.items() if change.any()}, metadata)
    with write_and_rename(path) as file:
        file.write(data)
    return path


@torch.no_grad()
def add_difference(base: AudioLDM, path: tp.Union[str, Path]) -> str:
    """Tune a base as a run of `solver=audioldm/dreambooth` did.

    Args:
        base (AudioLDM): The base that it went out from; its UNet is changed.
        path (str or Path): The run's `difference.safetensors`.
    Returns:
        str: What to write in prompts for the concept.
    Raises:
        UserError: If the file cannot be read, or belongs to another base.
    """
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            changes = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read as a difference (safetensors): {error}.") from error
    if metadata.get('base_fingerprint') != base.fingerprint:
        raise UserError(f"{path} was learned for {metadata.get('base_model', 'another base')}: load that base, not "
                        f"{base.name}.")
    state = base.pipeline.unet.state_dict()
    for name, change in changes.items():
        state[name] += change.to(state[name])
    return metadata['word']
