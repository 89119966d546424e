"""Concepts on the model hub: a repository with the concept file and a card that is written from its metadata."""
from functools import partial
from pathlib import Path
import shutil
import tempfile
import typing as tp

from huggingface_hub import HfApi, hf_hub_download, ModelCard, ModelCardData
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from ..concept import Concept
from ..errors import UserError

FILE = 'concept.safetensors'  # in every repository
LOCAL = 'tiny'  # a base model that has no page on the hub
CARD = """---
{data}
---

# {placeholder}

A word for text-to-music models that read with {text_encoder}: {count} vectors of width {width}, learned by textual
inversion (Thomé, Sturm, Pertoft and Jonason, 2024) for `{base}`{learned}.

```python
{use}```

| | |
|---|---|
{rows}
"""

MUSICGEN = """from audiocraft.models import MusicGen
from audiocraft_ti.models.concepts import load_concept

model = MusicGen.get_pretrained('{base}')
load_concept(model, 'concept.safetensors')
wav = model.generate(['A disco song with a {placeholder}'])
"""
DIFFUSION = """import torch
from audiocraft_ti.models.concepts import add_concept
from audiocraft_ti.models.{module} import load_{module}

model = load_{module}('{base}')
conditioner = model.make_conditioner()
add_concept(conditioner, 'concept.safetensors', model.fingerprint)
wav = model.sample(conditioner, ['A disco song with a {placeholder}'], duration=10, steps=100, guidance={guidance},
                   generator=torch.Generator().manual_seed(0))
"""
USES = {'audioldm_ti': partial(DIFFUSION.format, module='audioldm', guidance=2.5),
        'stable_audio_ti': partial(DIFFUSION.format, module='stable_audio', guidance=7)}  # else it is for a MusicGen


def card(concept: Concept) -> ModelCard:
    """What a concept's metadata says, as a page of the hub."""
    metadata = concept.metadata
    base = metadata.get('base_model', 'unknown')
    use = USES.get(metadata.get('solver', ''), MUSICGEN.format)
    rows = {'recordings': metadata.get('origin', 'not said where they come from'),
            'licence of the recordings': metadata.get('licence', 'not said'),
            'in plain words': metadata.get('class_word', 'not said'), 'software': metadata.get('software', 'unknown'),
            **{f'held-out {key}': f'{value:.4g}' for key, value in concept.details('scores').items()
               if isinstance(value, float)}}
    data = ModelCardData(base_model=None if base in (LOCAL, 'unknown') or Path(base).is_absolute() else base,
                         library_name='audiocraft', tags=['textual-inversion', 'text-to-audio', 'music'])
    return ModelCard(CARD.format(
        data=data.to_yaml(), placeholder=concept.placeholder, text_encoder=metadata.get('text_encoder', 'the same T5'),
        count=len(concept.vectors), width=concept.vectors.shape[1], base=base,
        use=use(base=base, placeholder=concept.placeholder),
        learned=f" from {_cell(metadata['origin'])}" if 'origin' in metadata else '',
        rows='\n'.join(f'| {key} | {_cell(value)} |' for key, value in rows.items())))


def _cell(text: str) -> str:
    return ' '.join(text.replace('|', '\\|').split())


def push(path: Path, repo: str, private: bool = False) -> str:
    """Upload a concept file with its card; returns the address of its page.

    Raises:
        UserError: If the file is no concept, or the hub says no.
    """
    concept, api = Concept.load(path), HfApi()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, Path(folder) / FILE)
        card(concept).save(Path(folder) / 'README.md')
        address = _asked(repo, lambda: api.create_repo(repo, private=private, exist_ok=True))
        message = f'Add {concept.placeholder}'
        _asked(repo, lambda: api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message))
    return str(address)


def pull(repo: str, folder: Path) -> Path:
    """Download a concept file, named after its concept.

    Raises:
        UserError: If there is none, or it is none.
    """
    concept = Concept.load(_asked(repo, lambda: hf_hub_download(repo, FILE)))
    return concept.save(folder / f'{concept.name}.safetensors')


T = tp.TypeVar('T')


def _asked(repo: str, ask: tp.Callable[[], T]) -> T:
    """What the hub answers, or in one sentence why it does not."""
    try:
        return ask()
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().split('\n')[0]
        raise UserError(f"the model hub and {repo} do not get along ({type(error).__name__}: {reason}); check the "
                        "name, the connection, and 'hf auth login'.") from error
