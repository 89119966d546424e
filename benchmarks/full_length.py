"""Whether short runs rank settings as the paper's long ones do; a part of docs/TRAINING.md, from stored runs."""
import statistics

from scipy.stats import spearmanr
from tqdm import tqdm

from audiocraft_ti.grids.ti import ablation as short_grid, full_length as long_grid
from audiocraft_ti.report.markdown import markdown
from audiocraft_ti.tiny import judge as judges
from benchmarks import ablation

HEAD = """
## At the paper's length

Runs on the tiny base are short. These learn the {timbre} for {updates} updates of {batch} clips, as the paper does;
beside them is what the same settings come to in the ablation's short runs ([RESULTS.md](RESULTS.md)) of that sound, as
the mean of {seeds} seeds. Loss is that of held-out recordings, of the short runs as well, in brackets what is won
against no text; it is not to be held against the tables above, whose clips are fresh.
"""


def section(judge: judges.Judge) -> str:
    """Both side by side, and the correlation of their ranks."""
    short = ablation.stored([run for run in short_grid.runs() if run.timbre == long_grid.TIMBRE
                             and run.setting in long_grid.SETTINGS], 'make ablation')
    long = ablation.stored(long_grid.runs(), 'make amount')
    outcomes = [[ablation.read(run, xp, judge) for run, xp in tqdm(todo, 'runs')] for todo in (short, long)]
    rows, losses = [['', 'short: held-out loss', 'sound', 'long: held-out loss', 'sound']], []
    for setting in long_grid.SETTINGS:
        both = [[one for one in some if one.setting == setting] for some in outcomes]
        rows.append([setting, *(cell for some in both for cell in (ablation.loss(some), ablation.sound(some)))])
        losses.append([statistics.mean(one.loss for one in some) for some in both])
    cfg = long[0][1].cfg
    head = HEAD.format(timbre=long_grid.TIMBRE, batch=cfg.dataset.batch_size, seeds=len(short_grid.SEEDS),
                       updates=cfg.optim.epochs * cfg.optim.updates_per_epoch)
    return '\n'.join([head, markdown(rows), '', "Short and long runs rank them by held-out loss with a Spearman's "
                      f'correlation of {spearmanr(losses).statistic:.2f}.'])
