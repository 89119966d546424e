"""What `dora grid` shows of runs that learn a concept."""
import sys
import typing as tp

from dora import Explorer
import treetable as tt

from ..errors import UserError
from ..report.sources import best_losses, LOSSES
from ..train import job

BEST: tp.Dict[str, tp.Callable] = {
    'ce': min, 'mse': min, 'gap_closure': max, 'clap_reconstruction_held_out': max, 'clap_editability': max,
    'minutes': min}


class Best(float):
    """A number that is the best of its column, and marked."""
    def __format__(self, spec: str) -> str:
        return super().__format__(spec) + '*'


class ConceptExplorer(Explorer):
    """The best held-out loss of each run, what it stands beside, the scores of its samples, and how far it is.

    A run of several concepts shows their means.
    """
    def __init__(self, explore: tp.Callable[[tp.Any], None]):
        super().__init__(explore)
        self._shown: tp.List[tp.Dict[str, tp.Dict[str, tp.Any]]] = []

    def __call__(self, launcher: tp.Any) -> None:
        try:
            super().__call__(launcher)
        except UserError as error:
            sys.exit(f'error: {error}')

    def get_grid_metrics(self) -> tp.List[tp.Any]:
        """The columns. Dora asks for them once it has processed every run, so that is when the best are known."""
        mark_best(self._shown)
        self._shown = []
        return [
            tt.group('run', [tt.leaf('status'), tt.leaf('epoch'), tt.leaf('minutes', '.1f')], align='>'),
            tt.group('valid', [
                *(tt.leaf(loss + what, '.4f') for loss in LOSSES for what in ('', '_no_text', '_class_word')),
                tt.leaf('gap_closure', '.2f')], align='>'),
            tt.group('evaluate', [tt.leaf('clap_reconstruction_held_out', '.3f'), tt.leaf('clap_editability', '.3f'),
                                  tt.leaf('clap_copy_margin', '.3f'), tt.leaf('clap_kernel_distance', '.2f')],
                     align='>')]

    def process_history(self, history: tp.List[dict]) -> dict:
        if not history:
            return {'run': {'status': 'new'}}
        seconds = sum(stage.get('duration', 0) for epoch in history for stage in epoch.values())
        last = history[-1]
        shown = {'run': {'status': 'done' if 'generate' in last else 'begun', 'epoch': len(history),
                         'minutes': seconds / 60},
                 'valid': dict(best_losses(history)),
                 'evaluate': dict(last.get('evaluate', {}))}
        self._shown.append(shown)
        return shown


def listed(runs: tp.Callable[[], tp.Iterable[tp.Any]]) -> ConceptExplorer:
    """The explorer of a grid that lists its runs on the tiny base, each with its `overrides`."""
    def explore(launcher: tp.Any) -> None:
        launcher.slurm_(**job('tiny'))
        for run in runs():
            launcher(run.overrides)
    return ConceptExplorer(explore)


def mark_best(lines: tp.List[tp.Dict[str, tp.Dict[str, tp.Any]]]) -> None:
    """Replace the best value of each column by a marked one."""
    for key, best in BEST.items():
        groups = [group for line in lines for group in line.values() if key in group]
        if groups:
            winner = best(group[key] for group in groups)
            for group in groups:
                if group[key] == winner:
                    group[key] = Best(winner)
