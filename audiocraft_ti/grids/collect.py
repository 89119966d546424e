"""What came of a grid, in one folder: concept files, samples, scores, and a page to look at them."""
from html import escape
import json
from pathlib import Path
import shutil
import typing as tp

from dora import XP
from flashy.utils import write_and_rename
from omegaconf import ListConfig

from ..data import lines as files
from ..errors import UserError
from ..models.samples import LISTING
from . import local
from ._explorers import best_losses

COLUMNS = {'ce': 'held-out loss', 'ce_no_text': 'without text', 'ce_class_word': 'class word',
           'gap_closure': 'gap closure', 'clap_reconstruction_held_out': 'reconstruction',
           'clap_editability': 'editability'}


def collect(grid: str, out: Path) -> tp.List[Path]:
    """Gather all finished runs of a grid: a folder for each concept of each, `scores.jsonl` and `index.html`.

    Args:
        grid (str): Name of the grid, `ti.concepts`; what it takes from the environment must be as it was.
        out (Path): Folder to put them in. What it holds of the same runs is replaced.
    Returns:
        list of Path: The folders.
    Raises:
        UserError: If no run is finished.
    """
    experiments = local.experiments(grid)
    finished = [xp for xp in experiments if local.is_done(xp)]
    if not finished:
        raise UserError(f"none of the {len(experiments)} runs of {grid} is finished: see how they are with dora grid "
                        f"{grid} --dry_run.")
    rows = [row for xp in finished for row in _gather(xp, out)]
    files.write(rows, out / 'scores.jsonl')
    with write_and_rename(out / 'index.html') as file:
        file.write(_page(grid, rows, len(experiments), out).encode())
    return [out / row['folder'] for row in rows]


def _gather(xp: XP, out: Path) -> tp.Iterator[tp.Dict[str, tp.Any]]:
    """Copy what is worth keeping of a run's concepts, and yield the scores of each."""
    names = xp.cfg.concept.name
    several = isinstance(names, ListConfig)
    for name in names if several else [names]:
        source, folder = xp.folder / name if several else xp.folder, out / f'{name}-{xp.sig}'
        shutil.rmtree(folder, ignore_errors=True)
        history = json.loads((source / 'history.json').read_text())
        shutil.copytree(source / 'samples' / str(len(history)), folder / 'samples')
        for file in source.glob('concept.safetensors'):  # a tuned model has none
            shutil.copy(file, folder / f'{name}.safetensors')
        metrics = {**best_losses(history), **history[-1].get('evaluate', {})}
        yield {'concept': name, 'sig': xp.sig, 'folder': folder.name, 'overrides': xp.argv,
               **{key: value for key, value in metrics.items() if key in COLUMNS}}


def _page(grid: str, rows: tp.List[tp.Dict[str, tp.Any]], count: int, out: Path) -> str:
    head = ''.join(f'<th>{title}</th>' for title in ('concept', 'run', *COLUMNS.values(), 'samples'))
    return (f'<!doctype html><meta charset="utf-8"><title>{escape(grid)}</title><style>{STYLE}</style>'
            f'<h1>{escape(grid)}</h1><p>{len({row["sig"] for row in rows})} of {count} runs are finished.</p>'
            f'<table><tr>{head}</tr>{"".join(_line(row, out) for row in rows)}</table>\n')


STYLE = ('body { font: 15px sans-serif; margin: 2em } td, th { padding: .3em .8em; text-align: left; '
         'vertical-align: top } tr:nth-child(even) { background: #f4f4f4 } audio { height: 2em }')


def _line(row: tp.Dict[str, tp.Any], out: Path) -> str:
    name = escape(row['concept'])
    file = out / row['folder'] / f'{row["concept"]}.safetensors'
    concept = f'<a href="{row["folder"]}/{name}.safetensors">{name}</a>' if file.exists() else name
    cells = [concept, f'<span title="{escape(" ".join(row["overrides"]))}">{row["sig"]}</span>',
             *(f'{row[key]:.3f}' if key in row else '' for key in COLUMNS), _players(row['folder'], out)]
    return '<tr>' + ''.join(f'<td>{cell}</td>' for cell in cells) + '</tr>'


def _players(folder: str, out: Path) -> str:
    samples = files.read(out / folder / 'samples' / LISTING)
    return ''.join(f'<div>{escape(sample["prompt"])}<br><audio controls preload="none" '
                   f'src="{folder}/samples/{sample["file"]}"></audio></div>' for sample in samples)
