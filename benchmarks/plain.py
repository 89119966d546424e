"""The paper's setting against plain AdamW, sound by sound; a part of docs/RESULTS.md, from stored runs."""
import statistics
import typing as tp

from audiocraft_ti import environment
environment.prepare()
from dora import XP

from audiocraft_ti.grids.ti import ablation as ablation_grid, learning_rate, plain as grid
from audiocraft_ti.report.markdown import markdown
from audiocraft_ti.report.sources import best_losses

HEAD = """
## Against plain AdamW

What was the default here before the paper's L1 decay, schedule and orthogonality were: AdamW at a constant rate, with
all else as in the paper. Held-out loss for every sound of [TINY.md](TINY.md), one seed each; in brackets the gap
closure where the base has a word for the sound. Three of them, {chosen}, are those that the learning rate was
chosen on.
"""
TAIL = """
The paper's setting closes at least as much of the gap for {good} of {count} sounds. By the table at the top, the loss
is {one_by_one}.
A run of {updates} updates ends at {share:.0%} of the rate; [TRAINING.md](TRAINING.md#at-the-papers-length) has a
constant rate at the paper's length, too."""
PARTS = (ablation_grid.THE_PAPER, 'no L1 decay', 'no orthogonality', 'constant rate')  # of the ablation's settings


def section(todo: tp.Sequence[tp.Tuple[ablation_grid.Run, XP]], outcomes: tp.Sequence[tp.Any]) -> str:
    """A row a sound, and for how many of them the paper's setting does at least as well.

    Args:
        todo (list): Runs of the grid `ti.plain`, and their experiments.
        outcomes (list): What came of the ablation's runs, of which the table at the top of the page is.
    """
    best = {(run.timbre, run.setting): best_losses(xp.link.history) for run, xp in todo}
    rows, good = [['', 'no text', *grid.SETTINGS]], 0
    for timbre in grid.CONCEPTS:
        paper, plain = (best[timbre, setting] for setting in grid.SETTINGS)
        rows.append([timbre, f"{paper['ce_no_text']:.3f}", cell(paper), cell(plain)])
        good += paper['ce'] <= plain['ce']
    losses = {part: statistics.mean(one.loss for one in outcomes if one.setting == part) for part in PARTS}
    optim, schedule = todo[0][1].cfg.optim, todo[0][1].cfg.schedule.warmup_exponential
    updates = optim.epochs * optim.updates_per_epoch
    return '\n'.join([HEAD.format(chosen=', '.join(learning_rate.CONCEPTS)), markdown(rows), TAIL.format(
        good=good, count=len(grid.CONCEPTS),
        one_by_one=', '.join(f'{loss:.3f} with {part}' for part, loss in losses.items()),
        updates=updates, share=schedule.gamma ** (updates - schedule.warmup))])


def cell(best: dict) -> str:
    closure = best.get('gap_closure')
    return f"{best['ce']:.3f}" + (f' ({closure:.2f})' if closure is not None else '')
