"""What `dora grid` shows of runs that learn a concept."""
import typing as tp

from dora import Explorer
import treetable as tt


class ConceptExplorer(Explorer):
    """The best held-out loss of each run, what it stands beside, and the scores of its samples."""
    def get_grid_metrics(self) -> tp.List[tp.Any]:
        return [
            tt.group('valid', [tt.leaf('epoch'), tt.leaf('loss', '.4f'), tt.leaf('no_text', '.4f'),
                               tt.leaf('class_word', '.4f'), tt.leaf('gap_closure', '.2f')], align='>'),
            tt.group('generate', [tt.leaf('clap_reconstruction_valid', '.3f'), tt.leaf('clap_editability', '.3f')],
                     align='>')]

    def process_history(self, history: tp.List[dict]) -> dict:
        if not history:
            return {}
        name = 'ce' if 'ce' in history[0]['valid'] else 'mse'  # of a language model, or a diffusion model
        best = min((epoch['valid'] for epoch in history), key=lambda losses: losses[name])
        shown = {key.replace(f'{name}_', ''): value for key, value in best.items()}
        return {'valid': {**shown, 'loss': best[name], 'epoch': len(history)},
                'generate': history[-1].get('generate', {})}
