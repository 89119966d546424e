"""Figures of scores, of learning and of sound."""
import io
from itertools import cycle, product
import math
from pathlib import Path
import typing as tp

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
import numpy as np
import pandas as pd
import seaborn

from .sources import Run
from ..data import audio
from ..data.lines import Line
from ..evaluation import REAL

SCORES = {'reconstruction': 'Reconstruction', 'editability': 'Editability'}
COLOURS = ('#8db3de', '#f5b46f')
COLUMNS = 3  # of violins
WIDTH = 3.7  # of each, inches; no wider than a phone's screen
MOST_NAMES = 20  # in a legend
RANGE = 80  # of a spectrogram, dB


def pairs(lines: tp.Sequence[Line]) -> tp.List[tp.Tuple[str, ...]]:
    """Which systems stand side by side: the first and every other, or the recordings where there is no other."""
    systems = [system for system in dict.fromkeys(line['system'] for line in lines) if system != REAL]
    if len(systems) > 1:
        return [(systems[0], other) for other in systems[1:]]
    return [(*systems, REAL) if any(line['system'] == REAL for line in lines) else tuple(systems)]


def violins(lines: tp.Sequence[Line]) -> Figure:
    """Figure 2 of the paper (P24): scores of two systems as the halves of a violin, median dashed, quartiles dotted."""
    shown = pairs(lines)
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure((WIDTH * columns, 3.4 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for ax, systems in zip(axes, shown):
        _violin(ax, lines, systems)
    for ax in axes[len(shown):]:
        ax.set_axis_off()
    return figure


def _violin(ax: Axes, lines: tp.Sequence[Line], systems: tp.Tuple[str, ...]) -> None:
    found = [(label, line['system'], line[key]) for line in lines for key, label in SCORES.items()
             if key in line and line['system'] in systems]
    frame = pd.DataFrame(found, columns=['score', 'system', 'CLAP similarity'])
    seaborn.violinplot(frame, x='score', y='CLAP similarity', hue='system', hue_order=systems, order=SCORES.values(),
                       split=len(systems) == 2, inner='quart', palette=COLOURS[:len(systems)], linewidth=1, ax=ax)
    ax.set(xlabel='')
    ax.legend(title=None, frameon=False, fontsize='small', loc='best')


def curves(runs: tp.Sequence[Run]) -> Figure:
    """What each run wins against no text on held-out recordings, epoch by epoch; dotted, what its class word does.

    Runs on diffusion models are left out: what they win is no cross-entropy.
    """
    runs = [run for run in runs if any('ce' in epoch.get('valid', {}) for epoch in run.history)]
    figure = Figure((8, 4), layout='constrained')
    ax = figure.subplots()
    looks = cycle(product(('-', '--'), seaborn.color_palette('tab10')))  # as many as names in a legend
    for (dashes, colour), run in zip(looks, runs):
        losses = [epoch['valid'] for epoch in run.history if 'valid' in epoch]
        start = losses[0]['ce_no_text'] - losses[0]['ce_start']
        ax.plot([start, *(one['ce_no_text'] - one['ce'] for one in losses)], dashes, color=colour, label=run.name)
        if 'ce_class_word' in losses[0]:
            ax.axhline(losses[0]['ce_no_text'] - losses[0]['ce_class_word'], color=colour, linestyle=':', linewidth=1)
    ax.axhline(0, color='black', linewidth=0.8)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel='epoch', ylabel='won against no text (nats)')
    if len(runs) <= MOST_NAMES:
        figure.legend(loc='outside right upper', frameon=False, fontsize='small')
    return figure


def spectrogram(path: Path) -> bytes:
    """A clip's spectrogram as a small JPEG: up to 8 kHz or so from below, 80 dB from white to black."""
    wav, sample_rate = audio.read(path)
    figure = Figure((2.6, 0.9))
    ax = figure.add_axes((0, 0, 1, 1))
    power, _, _, image = ax.specgram(wav.mean(0).numpy(), NFFT=512, Fs=sample_rate, noverlap=256, cmap='magma')
    top = 10 * np.log10(power.max() + 1e-12)
    image.set_clim(top - RANGE, top)
    ax.set(ylim=(0, min(8000, sample_rate / 2)))
    ax.set_axis_off()
    return _bytes(figure, 'jpeg', dpi=100)


def save(figure: Figure, stem: Path) -> bytes:
    """Write a figure as SVG and PDF; the former is returned, too."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    svg = _bytes(figure, 'svg', metadata={'Date': None})
    stem.with_suffix('.svg').write_bytes(svg)
    stem.with_suffix('.pdf').write_bytes(_bytes(figure, 'pdf', metadata={'CreationDate': None}))
    return svg


def _bytes(figure: Figure, kind: str, **options: tp.Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()
