"""Scores as tables."""
import typing as tp

import torch

from . import scores
from .listeners import AXES
from ..data.lines import Line

# In the order of the columns. What has no score of a kind has an empty cell.
SCORES = ['reconstruction', 'reconstruction_held_out', 'editability', 'copy_margin', 'kernel_distance', 'heard_sound',
          'heard_style', *AXES.values()]


def present(lines: tp.Sequence[Line]) -> tp.List[str]:
    """The scores that some line has."""
    return [key for key in SCORES if any(key in line for line in lines)]


def values(lines: tp.Sequence[Line], system: str, key: str) -> tp.List[float]:
    """A system's scores of a kind."""
    return [line[key] for line in lines if line['system'] == system and key in line]


def means(lines: tp.Sequence[Line], system: str) -> tp.Dict[str, float]:
    """Mean of each kind of score of a system."""
    found = {key: values(lines, system, key) for key in SCORES}
    return {key: sum(some) / len(some) for key, some in found.items() if some}


def history_of(lines: tp.Sequence[Line], system: str) -> tp.Dict[str, float]:
    """Means of all systems' scores under the names that they have in Dora's history.

    Args:
        lines (sequence of dict): Scores.
        system (str): The one whose names bear no name of a system.
    """
    def name(key: str, other: str) -> str:
        clap = key if key in AXES.values() else f'clap_{key}'
        return clap if other == system else f"{clap}_{other.replace(' ', '_')}"
    systems = dict.fromkeys(line['system'] for line in lines)
    return {name(key, other): value for other in systems for key, value in means(lines, other).items()}


def metric_of(key: str) -> str:
    """Which of `evaluate.metrics` asks for a name of Dora's history."""
    if key.startswith('clap_editability'):
        return 'clap_editability'
    return 'clap_reconstruction' if key.startswith('clap_') else 'aesthetics'


def cell(some: tp.Sequence[float]) -> str:
    """A mean with its 95 % bootstrap interval."""
    if not some:
        return ''
    mean = f'{sum(some) / len(some):.3f}'
    if len(some) == 1:
        return mean
    low, high = scores.interval(lambda one: one.mean().item(), torch.tensor(some)[:, None])
    return f'{mean} ({low:.3f} to {high:.3f})'


def rows(lines: tp.Sequence[Line]) -> tp.List[tp.List[str]]:
    """A row of names, and one of each system's scores."""
    keys = present(lines)
    systems = dict.fromkeys(line['system'] for line in lines)
    return [['', *keys], *([system, *(cell(values(lines, system, key)) for key in keys)] for system in systems)]
