"""Table 1 in the paper's layout: systems, "Neither" and "Undecided" down, kinds of prompts across."""
import typing as tp

from .analysis import Share
from ..report.markdown import markdown as lay_out

Table = tp.Mapping[str, tp.Mapping[str, Share]]  # of kinds, of choices
LATEX = str.maketrans({sign: f'\\{sign}' for sign in '&%$#_{}'} | {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}',
                                                                   '^': r'\textasciicircum{}'})


def _rows(table: Table, cell: tp.Callable[[Share], str]) -> tp.Iterator[tp.List[str]]:
    for choice in dict.fromkeys(choice for shares in table.values() for choice in shares):
        yield [choice, *(cell(shares[choice]) if choice in shares else '' for shares in table.values())]


def markdown(table: Table) -> str:
    """As markdown, intervals in brackets."""
    def cell(one: Share) -> str:
        return f'{one.value:.1%} ({one.low:.1%} to {one.high:.1%})'
    return lay_out([['', *(kind.capitalize() for kind in table)], *_rows(table, cell)])


def latex(table: Table) -> str:
    """As a tabular of LaTeX, which needs the booktabs package."""
    def cell(one: Share) -> str:
        return f'{one.value:.1%} ({one.low:.1%}--{one.high:.1%})'
    rows = [' & '.join(text.translate(LATEX) for text in row) + r' \\' for row in _rows(table, cell)]
    head = ' & '.join(['', *(kind.capitalize() for kind in table)]) + r' \\'
    return '\n'.join([rf"\begin{{tabular}}{{l{'r' * len(table)}}}", r'\toprule', head, r'\midrule', *rows,
                      r'\bottomrule', r'\end{tabular}'])
