"""The command line, `audiocraft-ti`: what is done with concepts once they are learned."""
from itertools import product
import json
from pathlib import Path
import sys
import typing as tp

import click

from .errors import UserError

# Everything that takes long to import is imported by the command that needs it, or --help would take seconds.
EXAMPLE = '\b\nExample:\n  audiocraft-ti '


@click.group()
def cli() -> None:
    """Teach a text-to-music model a new word, and make music with it."""


@cli.command(epilog=EXAMPLE + "generate --base tiny --prompt 'a disco song with a guitar' --duration 4 --out music")
@click.option('--base', help="'tiny', a folder that audiocraft exported, or a name on the model hub. "
              "[default: what the first concept was learned for]")
@click.option('--concept', 'concepts', multiple=True, type=click.Path(path_type=Path), metavar='FILE',
              help='A concept to load, written <name> in prompts. Can be given more than once, as can:')
@click.option('--prompt', 'prompts', multiple=True, required=True, help='What to make, with <name> or <name:0.3>.')
@click.option('--seed', 'seeds', multiple=True, type=int, default=[0], show_default=True)
@click.option('--duration', default=10., show_default=True, help='Seconds.')
@click.option('--strength', default=0.5, show_default=True, help="Share of a concept's vectors that a prompt gets.")
@click.option('--temperature', type=float, help='[default: as the base model has it]')
@click.option('--guidance', type=float, help='Of the prompt, free of a classifier. [default: as the base model has it]')
@click.option('--loudness', default=-16., show_default=True, help='dB LUFS.')
@click.option('--device', help="'cpu' or 'cuda'. [default: cuda if there is one]")
@click.option('--out', required=True, type=click.Path(file_okay=False, path_type=Path), metavar='DIR')
def generate(base: tp.Optional[str], concepts: tp.Sequence[Path], prompts: tp.Sequence[str], seeds: tp.Sequence[int],
             duration: float, strength: float, temperature: tp.Optional[float], guidance: tp.Optional[float],
             loudness: float, device: tp.Optional[str], out: Path) -> None:
    """Make music from prompts: wav files, and a samples.jsonl that lists them."""
    music = _load_music(base or _base_of(concepts), device, duration)
    from .models.concepts import load_concept, set_concept_params
    from .models.samples import write_sample
    for path in concepts:
        load_concept(music, path)
    set_concept_params(music, sample_ratio=strength)
    given = {'temp': temperature, 'cfg_coef': guidance}
    music.generation_params.update({key: value for key, value in given.items() if value is not None})
    jobs = list(product(prompts, seeds))
    with click.progressbar(jobs, label='Generating', item_show_func=lambda job: job and job[0]) as bar:
        paths = [write_sample(music, prompt, seed, out, loudness) for prompt, seed in bar]
    for path in paths:
        click.echo(path)


def _base_of(concepts: tp.Sequence[Path]) -> str:
    """The base model of the first concept."""
    from .concept import Concept
    name = Concept.load(concepts[0]).metadata.get('base_model') if concepts else None
    if name is None:
        raise UserError("--base is missing, and no --concept says what it was learned for: give 'tiny', a folder or a "
                        "name on the model hub.")
    return name


def _load_music(base: str, device: tp.Optional[str], duration: float) -> tp.Any:
    from .models.loaders import load_base
    import torch
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    return load_base(base, device, 'float16' if device.startswith('cuda') else 'float32').music_gen(duration)


@cli.command(epilog=EXAMPLE + 'inspect amen.safetensors')
@click.argument('path', type=click.Path(path_type=Path), metavar='FILE')
def inspect(path: Path) -> None:
    """Say what a concept file holds, which model it is for and what it was learned from."""
    from .concept import Concept
    concept = Concept.load(path)
    lines = {'concept': concept.placeholder, 'vectors': '{} of width {}'.format(*concept.vectors.shape),
             **concept.metadata}
    for section in ('training', 'scores'):
        lines.update(_flat(section, json.loads(lines.pop(section, '{}'))))
    width = max(map(len, lines))
    for key, value in lines.items():
        click.echo(f'{key:{width}}  {_printable(value)}')


def _flat(key: str, value: tp.Any) -> tp.Iterator[tp.Tuple[str, tp.Any]]:
    """Nested settings as `training.optim.lr` and so on."""
    if not isinstance(value, dict):
        yield key, value
        return
    for name, one in value.items():
        yield from _flat(f'{key}.{name}', one)


def _printable(value: tp.Any) -> str:
    """Text that cannot move the cursor of a terminal, whoever wrote it."""
    return ''.join(sign if sign.isprintable() else '?' for sign in str(value))


@cli.command(epilog=EXAMPLE + 'manifest my/recordings --out my/manifest')
@click.argument('folder', type=click.Path(path_type=Path))
@click.option('--out', required=True, type=click.Path(file_okay=False, path_type=Path), metavar='DIR')
@click.option('--min-length', default=2., show_default=True, help='Of a recording that can be used, in seconds.')
def manifest(folder: Path, out: Path, min_length: float) -> None:
    """Divide a folder of recordings into what is learned from and what is held out: train.jsonl and valid.jsonl."""
    from .data import manifest as manifests
    splits = manifests.collect(str(folder), None, None, min_length)
    for path in manifests.write(out, *splits):
        click.echo(path)


@cli.command(epilog=EXAMPLE + 'evaluate --reference recordings --system ours=music --embedder tiny --out scores.jsonl')
@click.option('--reference', required=True, type=click.Path(path_type=Path), metavar='DIR',
              help='Recordings that the concept was learned from.')
@click.option('--held-out', type=click.Path(path_type=Path), metavar='DIR',
              help='Recordings of the same sound that it was not learned from.')
@click.option('--system', 'systems', multiple=True, required=True, metavar='NAME=DIR',
              help='Samples, with a samples.jsonl of prompts and files. Can be given more than once.')
@click.option('--embedder', default='clap', show_default=True, help="'clap', 'laion', 'tiny', or a CLAP checkpoint.")
@click.option('--class-word', help="What stands in the concept's place in prompts. [default: nothing]")
@click.option('--device', default='cpu', show_default=True)
@click.option('--out', required=True, type=click.Path(dir_okay=False, path_type=Path), metavar='FILE')
def evaluate(reference: Path, held_out: tp.Optional[Path], systems: tp.Sequence[str], embedder: str,
             class_word: tp.Optional[str], device: str, out: Path) -> None:
    """Score the music of any systems: reconstruction and editability, a line of json a sample."""
    from .evaluation.embedders import load_embedder
    from .evaluation.evaluate import evaluate, table
    folders = {}
    for system in systems:
        name, equals, folder = system.partition('=')
        if not equals:
            raise UserError(f"--system {system} has no name: write NAME=DIR.")
        folders[name] = Path(folder)
    lines = evaluate(folders, reference, held_out, load_embedder(embedder, device), class_word)
    temporary = out.with_name(out.name + '.tmp')
    temporary.write_text(''.join(json.dumps(line) + '\n' for line in lines), encoding='utf-8')
    temporary.rename(out)
    click.echo(table(lines))


@cli.command(epilog=EXAMPLE + 'collect ti.concepts --out table')
@click.argument('grid')
@click.option('--out', required=True, type=click.Path(file_okay=False, path_type=Path), metavar='DIR')
def collect(grid: str, out: Path) -> None:
    """Gather concept files, scores and samples of a grid's finished runs, with a page to look at them."""
    from .grids.collect import collect
    out.mkdir(parents=True, exist_ok=True)
    for folder in collect(grid, out):
        click.echo(folder)
    click.echo(out / 'index.html')


@cli.command(epilog=EXAMPLE + 'push amen.safetensors me/amen')
@click.argument('path', type=click.Path(path_type=Path), metavar='FILE')
@click.argument('repo')
@click.option('--private', is_flag=True, help='Keep it to yourself.')
def push(path: Path, repo: str, private: bool) -> None:
    """Put a concept on the model hub, with a card written from its metadata."""
    from .models import hub
    click.echo(hub.push(path, repo, private))


@cli.command(epilog=EXAMPLE + 'pull me/amen --out concepts')
@click.argument('repo')
@click.option('--out', default='.', type=click.Path(file_okay=False, path_type=Path), metavar='DIR', show_default=True)
def pull(repo: str, out: Path) -> None:
    """Fetch a concept from the model hub."""
    from .models import hub
    out.mkdir(parents=True, exist_ok=True)
    click.echo(hub.pull(repo, out))


@cli.command(epilog=EXAMPLE + 'app --base tiny')
@click.option('--host', default='127.0.0.1', show_default=True, help='0.0.0.0 lets other machines in.')
@click.option('--port', default=7860, show_default=True)
@click.option('--base', default='tiny', show_default=True, help='Base model to begin with.')
def app(host: str, port: int, base: str) -> None:
    """Open a page on which to learn concepts and to play with them."""
    from .app.page import serve
    click.echo(f'Serving on http://{host}:{port}, until Ctrl-C.')
    serve(host, port, base)


def main() -> None:
    try:
        cli()
    except UserError as error:
        sys.exit(f'error: {error}')
