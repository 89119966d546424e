"""Tables as text that people read in a terminal, and GitHub as a table."""
import typing as tp


def markdown(table: tp.Sequence[tp.Sequence[str]]) -> str:
    """A table as markdown, its first row as its head."""
    head, *body = (f"| {' | '.join(row)} |" for row in table)
    return '\n'.join([head, '|' + '---|' * len(table[0]), *body])
