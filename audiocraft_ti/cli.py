"""The command line, `audiocraft-ti`: what is done with concepts once they are learned."""
from itertools import product
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
    from .models.concepts import load_concept, set_concept_params
    from .models.loaders import load_music
    from .models.samples import write_sample
    music = load_music(base or _base_of(concepts), device, duration)
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


@cli.command(epilog=EXAMPLE + 'inspect amen.safetensors')
@click.argument('path', type=click.Path(path_type=Path), metavar='FILE')
def inspect(path: Path) -> None:
    """Say what a concept file holds, which model it is for and what it was learned from."""
    from .concept import Concept
    concept = Concept.load(path)
    lines = {'concept': concept.placeholder, 'vectors': '{} of width {}'.format(*concept.vectors.shape),
             **concept.metadata}
    for section in ('training', 'scores'):
        lines.pop(section, None)
        lines.update(_flat(section, concept.details(section)))
    width = max(map(len, lines))
    for key, value in lines.items():
        click.echo(_printable(f'{key:{width}}  {value}'))


def _flat(key: str, value: tp.Any) -> tp.Iterator[tp.Tuple[str, tp.Any]]:
    """Nested settings as `training.optim.lr` and so on."""
    if not isinstance(value, dict):
        yield key, value
        return
    for name, one in value.items():
        yield from _flat(f'{key}.{name}', one)


def _printable(text: str) -> str:
    """Text that cannot move the cursor of a terminal, whoever wrote it."""
    return ''.join(sign if sign.isprintable() else '?' for sign in text)


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
@click.option('--aesthetics', is_flag=True, help='Ask audiobox-aesthetics, too.')
@click.option('--judge', metavar='SOUND', help="Ask the tiny world's judge, too, whether it hears that sound of its.")
@click.option('--device', default='cpu', show_default=True)
@click.option('--out', required=True, type=click.Path(dir_okay=False, path_type=Path), metavar='FILE')
def evaluate(reference: Path, held_out: tp.Optional[Path], systems: tp.Sequence[str], embedder: str,
             class_word: tp.Optional[str], aesthetics: bool, judge: tp.Optional[str], device: str, out: Path) -> None:
    """Score the music of any systems: reconstruction and editability, a line of json a sample."""
    from .data.lines import write
    from .evaluation import table
    from .evaluation.embedders import CachedEmbedder, load_embedder
    from .evaluation.evaluate import embed_recordings, score_systems
    from .evaluation.listeners import Aesthetics, Listener, TinyJudge
    from .report.markdown import markdown
    folders = _named('--system', systems)
    listeners: tp.List[Listener] = [*([Aesthetics()] if aesthetics else []), *([TinyJudge(judge)] if judge else [])]
    cached = CachedEmbedder(load_embedder(embedder, device))
    recordings = [embed_recordings(folder, cached) for folder in (reference, held_out) if folder]
    lines = score_systems(folders, cached, recordings, class_word, listeners)
    write(lines, out)
    click.echo(markdown(table.rows(lines)))


@cli.command(epilog=EXAMPLE + 'report scores.jsonl --out report')
@click.argument('scores', nargs=-1, type=click.Path(path_type=Path), metavar='[SCORES]...')
@click.option('--run', 'runs', multiple=True, type=click.Path(path_type=Path), metavar='DIR',
              help='Folder of a run, for its scores and its learning curve. Can be given more than once.')
@click.option('--out', required=True, type=click.Path(file_okay=False, path_type=Path), metavar='DIR')
def report(scores: tp.Sequence[Path], runs: tp.Sequence[Path], out: Path) -> None:
    """Make a page of scores and runs: figures, tables, and players side by side."""
    from .report.page import write
    from .report.sources import all_lines, read_runs
    found = read_runs(runs)
    click.echo(write(all_lines(scores, found), found, out))


@cli.command(epilog=EXAMPLE + "benchmark --list concepts.json --recordings recordings --samples samples --system ours")
@click.option('--list', 'listing', required=True, type=click.Path(path_type=Path), metavar='FILE',
              help='Concepts and prompts, as json.')
@click.option('--recordings', required=True, type=click.Path(path_type=Path), metavar='DIR',
              help='Has a folder of recordings for each concept.')
@click.option('--samples', required=True, type=click.Path(path_type=Path), metavar='DIR',
              help='Has a folder for each concept, with a samples.jsonl.')
@click.option('--system', required=True, help='What made the samples.')
@click.option('--base', help='Make the samples that are missing with this base model.')
@click.option('--word', type=click.Choice(['concept', 'class', 'none']), default='concept', show_default=True,
              help="What stands in the concept's place when they are made.")
@click.option('--learned', type=click.Path(path_type=Path), metavar='DIR',
              help='Has a concept file for each concept, such as amen.safetensors.')
@click.option('--seed', 'seeds', multiple=True, type=int, default=[0, 1], show_default=True, help='Of what is made.')
@click.option('--duration', default=10., show_default=True, help='Of what is made, seconds.')
@click.option('--embedder', default='clap', show_default=True, help="'clap', 'laion', 'tiny', or a CLAP checkpoint.")
@click.option('--device', help="'cpu' or 'cuda'. [default: cuda if there is one]")
@click.option('--out', default='results', type=click.Path(file_okay=False, path_type=Path), metavar='DIR',
              show_default=True, help='Where results are stored.')
def benchmark(listing: Path, recordings: Path, samples: Path, system: str, base: tp.Optional[str], word: str,
              learned: tp.Optional[Path], seeds: tp.Sequence[int], duration: float, embedder: str,
              device: tp.Optional[str], out: Path) -> None:
    """Measure one system on a list of concepts, and print its row beside the stored ones (docs/BENCHMARK.md)."""
    from .data import lines as files
    from .evaluation import benchmark
    from .evaluation.embedders import CachedEmbedder, load_embedder
    from .report.markdown import markdown
    work = benchmark.available(benchmark.load_benchmark(listing), recordings)
    if base is not None:
        from .models.loaders import load_music
        music = load_music(base, device, duration)
        for key in work.concepts:
            benchmark.write_samples(music, work, key, word, learned, seeds, samples / key)
    cached = CachedEmbedder(load_embedder(embedder, device or 'cpu'), loudness=benchmark.LOUDNESS)
    results, lines = benchmark.run(system, work, recordings, samples, cached)
    path = benchmark.write(results, out)
    files.write(lines, path.with_suffix('.jsonl'))
    click.echo(markdown(benchmark.compare(results, out)))


def _named(option: str, values: tp.Sequence[str]) -> tp.Dict[str, Path]:
    """Paths by name, from NAME=DIR."""
    paths: tp.Dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition('=')
        if not equals:
            raise UserError(f"{option} {value} has no name: write NAME=DIR.")
        if name in paths:
            raise UserError(f"{option} {value} has a name that is taken: give it another.")
        paths[name] = Path(path)
    return paths


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


@cli.group()
def study() -> None:
    """Ask people which of two clips matches a prompt best."""


STUDY = click.argument('folder', type=click.Path(path_type=Path), metavar='STUDY')
DATABASE = click.option('--database', envvar='STUDY_DATABASE', metavar='URL', help="Of PostgreSQL, such as "
                        "postgresql+psycopg://name@host/base. [default: SQLite in the study's folder]")


@study.command(epilog=EXAMPLE + 'study create --system ours=music --system theirs=their/music --out study')
@click.option('--system', 'systems', multiple=True, required=True, metavar='NAME=DIR',
              help='Samples, with a samples.jsonl of prompts and files. Twice or more.')
@click.option('--reference', 'references', multiple=True, metavar='CONCEPT=FILE',
              help='A recording of a concept, to be heard with its pairs. Can be given more than once.')
@click.option('--pairs', type=click.IntRange(1), default=10, show_default=True, help='For each rater.')
@click.option('--attention', type=click.IntRange(0), default=0, show_default=True,
              help='More pairs for each rater, of a clip and noise, to see who listens.')
@click.option('--seconds', type=click.FloatRange(0.4), default=10., show_default=True, help='Where clips are cut off.')
@click.option('--seed', type=click.IntRange(0), default=0, show_default=True, help='Of who hears what.')
@click.option('--out', required=True, type=click.Path(file_okay=False, path_type=Path), metavar='STUDY')
def create(systems: tp.Sequence[str], references: tp.Sequence[str], pairs: int, attention: int, seconds: float,
           seed: int, out: Path) -> None:
    """Make a study's folder from the samples of two systems or more."""
    from .study.create import create
    made = create(_named('--system', systems), out, _named('--reference', references), pairs, attention, seconds, seed)
    click.echo(f'{len(made.study.pairs)} pairs. Texts and questions are in {out}/study.json; the token of the admin '
               f'page is in {out}/admin_token.')


@study.command(epilog=EXAMPLE + 'study serve study --port 8000')
@STUDY
@click.option('--host', default='127.0.0.1', show_default=True, help='0.0.0.0 lets other machines in.')
@click.option('--port', default=8000, show_default=True)
@DATABASE
def serve(folder: Path, host: str, port: int, database: tp.Optional[str]) -> None:
    """Open the page on which raters answer; /admin is the researcher's."""
    from .study.folder import StudyFolder
    from .study.page import serve
    serve(StudyFolder(folder), database, host, port)


@study.command(epilog=EXAMPLE + 'study results study --scores scores.jsonl')
@STUDY
@click.option('--scores', type=click.Path(path_type=Path), metavar='FILE', help='What evaluate wrote of the samples.')
@click.option('--latex', is_flag=True, help='Tables in LaTeX.')
@click.option('--only-careful', is_flag=True, help='Leave out raters who failed a check.')
@DATABASE
def results(folder: Path, scores: tp.Optional[Path], latex: bool, only_careful: bool, database: tp.Optional[str]
            ) -> None:
    """Print table 1, with intervals and tests."""
    from .study.folder import StudyFolder
    from .study.results import report
    from .study.store import Store
    found = StudyFolder(folder)
    click.echo(report(found.study, Store(database or found.database).all(), scores, latex, only_careful))


@study.command(epilog=EXAMPLE + 'study export study --out exported')
@STUDY
@click.option('--raters', type=click.IntRange(1), default=26, show_default=True,
              help='How many configurations of webMUSHRA to write.')
@click.option('--out', required=True, type=click.Path(file_okay=False, path_type=Path), metavar='DIR')
@DATABASE
def export(folder: Path, raters: int, out: Path, database: tp.Optional[str]) -> None:
    """Write answers.csv, and what webMUSHRA needs to run the same study."""
    from .study import export
    from .study.folder import StudyFolder
    from .study.store import Store
    found = StudyFolder(folder)
    export.write(found, Store(database or found.database).all(), out, raters)
    click.echo(out)


def main() -> None:
    try:
        cli()
    except UserError as error:
        sys.exit(f'error: {error}')
