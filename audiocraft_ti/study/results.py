"""All that a study's answers say, as text: table 1, tests, strengths, agreement, and the CLAP scores beside them."""
from itertools import combinations
from pathlib import Path
import typing as tp

from . import analysis, bradley_terry, tables
from .answers import Answer, answers_of, careful, Given_
from .design import ATTENTION
from .folder import Study
from ..data import lines as files
from ..errors import UserError

INTERVALS = """
In brackets, 95 % Wilson intervals that heed how much raters differ (design effect). Shares of a system are of the
answers to pairs that it was in, those of Neither and Undecided of all."""
Scores = tp.Dict[tp.Tuple[int, str], float]


def report(study: Study, raters: Given_, scores: tp.Optional[Path], latex: bool, only_careful: bool) -> str:
    """The results of a study.

    Args:
        study (Study): What was asked.
        raters (sequence): Every rater with every answer, as the store has them.
        scores (Path, optional): What `audiocraft-ti evaluate` wrote of the same samples.
        latex (bool): Whether tables are in LaTeX, else in markdown.
        only_careful (bool): Whether to leave out raters who failed the headphone check or an attention check.
    Raises:
        UserError: If there is no answer, or the scores cannot be used.
    """
    everything = answers_of(study, raters)
    kept = careful(raters, everything)
    answers = [answer for answer in everything
               if answer.kind != ATTENTION and (answer.rater in kept or not only_careful)]
    if not answers:
        raise UserError('There is no answer yet: nobody took part, or nobody passed the checks.')
    kinds = [kind for kind in study.pairs_per_rater if any(answer.kind == kind for answer in answers)]
    some = {kind: [answer for answer in answers if answer.kind == kind] for kind in kinds}
    show = tables.latex if latex else tables.markdown
    known = read_scores(study, scores) if scores else {}
    count = len({answer.rater for answer in answers})
    return '\n'.join([
        f'{len(answers)} answers of {count} raters; of all {len(raters)} raters, {len(kept)} passed every check.', '',
        show({kind: analysis.shares(some[kind], study.systems) for kind in kinds}), INTERVALS, '',
        *(line for kind in kinds for line in _kind(kind, some[kind], study.systems, known)),
        f"Left was chosen in {_percent(_left(answers))} of the answers for a clip; without a bias it is half.", '',
        *_concepts(some, study.systems, show)]).rstrip()


def _kind(kind: str, answers: tp.Sequence[Answer], systems: tp.Sequence[str], scores: Scores) -> tp.Iterator[str]:
    """Tests of one kind of prompt."""
    yield f'{kind.capitalize()}:'
    for first, second in combinations(systems, 2):
        both = [answer for answer in answers if answer.systems == {first, second}]
        wins, losses = (sum(answer.choice == system for answer in both) for system in (first, second))
        yield f'- {first} {wins}, {second} {losses}: {_chance(analysis.sign_test(wins, losses))} (sign test).'
    yield from _strengths(bradley_terry.fit(answers, systems), systems[0])
    alpha = analysis.agreement(answers)
    if alpha is not None:
        yield f"- Agreement of raters on the same pair (Krippendorff's alpha): {alpha:.2f}."
    if scores:
        yield _correlation(analysis.correlation(answers, scores))
    yield ''


def _strengths(fit: tp.Optional[bradley_terry.Fit], first: str) -> tp.Iterator[str]:
    if fit is None:
        yield '- No Bradley-Terry fit: too few raters, or all of them for the same system.'
        return
    for system, one in fit.strengths.items():
        yield (f'- {system} is stronger than {first} by {one.value:.2f} ({one.low:.2f} to {one.high:.2f}) in log-odds: '
               f'{_chance(one.p)} (mixed Bradley-Terry; raters differ by {fit.taste:.2f}).')


def _correlation(found: tp.Optional[analysis.Correlation]) -> str:
    if found is None:
        return '- CLAP scores: too few pairs with scores to correlate.'
    return (f'- Preference and difference of CLAP scores, over {found.pairs} pairs: rank correlation '
            f'{found.value:.2f}, {_chance(found.p)}.')


def _chance(p: float) -> str:
    return f"{'stands out from chance' if p < 0.05 else 'does not stand out from chance'}, p = {p:.3f}"


def _left(answers: tp.Sequence[Answer]) -> tp.Optional[analysis.Share]:
    decided = [answer for answer in answers if answer.choice in answer.systems]
    return analysis.wilson(sum(answer.choice == answer.left for answer in decided), len(decided)) if decided else None


def _percent(one: tp.Optional[analysis.Share]) -> str:
    return '0 of 0' if one is None else f'{one.value:.1%} ({one.low:.1%} to {one.high:.1%})'


def _concepts(some: tp.Mapping[str, tp.Sequence[Answer]], systems: tp.Sequence[str],
              show: tp.Callable[[tables.Table], str]) -> tp.Iterator[str]:
    """A table for every concept, where there are several."""
    concepts = sorted({answer.concept for answers in some.values() for answer in answers})
    for concept in concepts if len(concepts) > 1 else ():
        of = {kind: [answer for answer in answers if answer.concept == concept] for kind, answers in some.items()}
        yield f'Concept {concept}:\n'
        yield show({kind: analysis.shares(answers, systems) for kind, answers in of.items() if answers}) + '\n'


def read_scores(study: Study, path: Path) -> Scores:
    """CLAP scores of the clips of pairs, from what `audiocraft-ti evaluate` wrote.

    Raises:
        UserError: If it cannot be read, or has none of the study's clips.
    """
    try:
        lines = files.read(path)
        by_file = {str(Path(line['file']).resolve()): float(line[line['kind']]) for line in lines if 'file' in line}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path} cannot be read as scores ({type(error).__name__}: {error}): give what `audiocraft-ti '
                        'evaluate --out` wrote.') from error
    known = {(index, system): by_file[study.clips[clip].source] for index, pair in enumerate(study.pairs)
             for system, clip in zip(pair.systems, pair.clips) if study.clips[clip].source in by_file}
    if not known:
        raise UserError(f'{path} has a score of none of the clips in the study: evaluate the samples that it was '
                        'created from.')
    return known
