"""What `dora grid` shows of runs that learn a concept."""
import typing as tp

from dora import Explorer
import treetable as tt


class ConceptExplorer(Explorer):
    """The best held-out loss of each run, what it stands beside, and the scores of its samples."""
    def get_grid_metrics(self) -> tp.List[tp.Any]:
        return [
            tt.group('valid', [tt.leaf('epoch'), tt.leaf('ce', '.4f'), tt.leaf('ce_no_text', '.4f'),
                               tt.leaf('ce_class_word', '.4f'), tt.leaf('gap_closure', '.2f')], align='>'),
            tt.group('evaluate', [tt.leaf('clap_reconstruction_held_out', '.3f'), tt.leaf('clap_editability', '.3f'),
                                  tt.leaf('clap_copy_margin', '.3f'), tt.leaf('clap_kernel_distance', '.2f')],
                     align='>')]

    def process_history(self, history: tp.List[dict]) -> dict:
        if not history:
            return {}
        best = min((epoch['valid'] for epoch in history), key=lambda losses: losses['ce'])
        return {'valid': {**best, 'epoch': len(history)}, 'evaluate': history[-1].get('evaluate', {})}
