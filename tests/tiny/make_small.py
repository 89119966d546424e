"""Make the tiny base small, in the folder that this is run in: nothing of the package's own is touched.

What a part is made with is changed here at import, which the processes that make parts do, too.
"""
from functools import partial
from pathlib import Path

from audiocraft_ti.tiny import audioldm, clap, dataset, judge, make, text

SHORT = ['optim.epochs=1', 'optim.updates_per_epoch=2', 'dataset.batch_size=2', 'dataset.valid.num_samples=2',
         'dataset.evaluate.num_samples=2', 'dataset.num_workers=0']


def _shorten(overrides):
    last = {one.partition('=')[0]: one for one in (*overrides, *SHORT)}
    return [*last.values(), *(['rvq.kmeans_iters=2'] if 'compression' in last['solver'] else [])]


dataset.COUNTS = {'train': 64, 'valid': 2}
judge.train = partial(judge.train, count=48, epochs=1)
text.pretrain = partial(text.pretrain, updates=2)
clap.train = partial(clap.train, count=64, epochs=1)
audioldm.CLIPS = 4
audioldm.UPDATES = dict.fromkeys(audioldm.UPDATES, 2)
for name in ('AUTOENCODER', 'CODEC', 'BEGINNINGS', 'LANGUAGE_MODEL'):
    setattr(make, name, _shorten(getattr(make, name)))
for name in ('AUDIOLDM', 'BASE', 'CLAP', 'JUDGE', 'MADE'):
    setattr(make, name, Path('weights') / getattr(make, name).name)

if __name__ == '__main__':
    make.make()
