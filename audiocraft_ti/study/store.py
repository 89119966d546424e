"""Raters and their answers in a database. What it has acknowledged survives the end of the process."""
from dataclasses import asdict, dataclass
import secrets
import time
import typing as tp

import sqlalchemy as sa

from .design import Trial
from ..errors import UserError

TABLES = sa.MetaData()
RATERS = sa.Table(
    'raters', TABLES,
    sa.Column('number', sa.Integer, primary_key=True, autoincrement=True),
    sa.Column('key', sa.String(64), nullable=False, unique=True),
    sa.Column('plan', sa.JSON, nullable=False),
    sa.Column('about', sa.JSON, nullable=False),  # answers to the researcher's questions
    sa.Column('headphones', sa.Integer),  # right answers of the check, of three
    sa.Column('position', sa.Integer, nullable=False),  # of the pair to be answered next
    sa.Column('since', sa.Float, nullable=False))  # seconds since 1970, when that pair's turn came
CHOICES = sa.Table(
    'answers', TABLES,
    sa.Column('rater', sa.ForeignKey('raters.number'), primary_key=True),
    sa.Column('position', sa.Integer, primary_key=True),
    sa.Column('choice', sa.String(16), nullable=False),
    sa.Column('seconds', sa.Float, nullable=False))


@dataclass
class Rater:
    """One rater's state.

    Args:
        number (int): Counts from 1; all that leaves the server of who it is.
        key (str): Known to the rater's browser alone.
        plan (list of Trial): What the rater hears.
        position (int): Of the pair to be answered next.
        about (dict[str, str]): Answers to the researcher's questions.
        headphones (int, optional): Right answers of the headphone check, of three.
    """
    number: int
    key: str
    plan: tp.List[Trial]
    position: int
    about: tp.Dict[str, str]
    headphones: tp.Optional[int]


@dataclass
class Given:
    """An answer: `left`, `right`, `neither` or `undecided`, and the seconds it took."""
    position: int
    choice: str
    seconds: float


class Store:
    """The database of a study.

    Args:
        url (str): As SQLAlchemy writes it, `sqlite:///answers.db` or `postgresql+psycopg://...`.
    Raises:
        UserError: If it cannot be opened.
    """
    def __init__(self, url: str) -> None:
        try:
            sqlite = sa.make_url(url).get_backend_name() == 'sqlite'
            # SQLite has one writer at a time: raters wait for their turn here, where nobody is passed over.
            pool: tp.Dict[str, tp.Any] = {'pool_size': 1, 'max_overflow': 0} if sqlite else {'pool_size': 20}
            self.engine = sa.create_engine(url, poolclass=sa.QueuePool, pool_pre_ping=not sqlite, **pool)
            if sqlite:
                sa.event.listen(self.engine, 'connect', _keep_every_commit)
            TABLES.create_all(self.engine)
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            reason = str(getattr(error, 'orig', None) or error).splitlines()[0]
            raise UserError(f'The database of the answers cannot be opened ({reason}): check --database.') from error

    def close(self) -> None:
        self.engine.dispose()

    def add_rater(self, plan: tp.Callable[[int], tp.Sequence[Trial]], about: tp.Mapping[str, str],
                  headphones: tp.Optional[int]) -> str:
        """A new rater's key; the plan follows from the rater's number."""
        key = secrets.token_urlsafe(24)
        with self.engine.begin() as connection:
            number = connection.execute(RATERS.insert().values(
                key=key, plan=[], about=dict(about), headphones=headphones, position=0, since=time.time()
            )).inserted_primary_key[0]  # type: ignore[index]
            trials = [asdict(trial) for trial in plan(number)]
            connection.execute(RATERS.update().where(RATERS.c.number == number).values(plan=trials))
        return key

    def rater(self, key: str) -> tp.Optional[Rater]:
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(RATERS).where(RATERS.c.key == key)).first()
        return None if row is None else _rater(row)

    def choice(self, rater: Rater) -> tp.Optional[str]:
        """What was answered to the rater's next pair before going back to it."""
        query = sa.select(CHOICES.c.choice).where(CHOICES.c.rater == rater.number,
                                                  CHOICES.c.position == rater.position)
        with self.engine.connect() as connection:
            return connection.scalar(query)

    def answer(self, rater: Rater, choice: str) -> bool:
        """Keep an answer to the rater's next pair and go on; or tell that, meanwhile, another is the next."""
        with self.engine.begin() as connection:
            row = self._locked(connection, rater)
            if row is None:
                return False
            now, place = time.time(), {'rater': rater.number, 'position': rater.position}
            connection.execute(CHOICES.delete().filter_by(**place))
            connection.execute(CHOICES.insert().values(**place, choice=choice, seconds=now - row.since))
            connection.execute(RATERS.update().filter_by(number=rater.number)
                               .values(position=rater.position + 1, since=now))
        return True

    def back(self, rater: Rater) -> bool:
        """Return to the pair before; or tell that, meanwhile, another is the next."""
        with self.engine.begin() as connection:
            if self._locked(connection, rater) is None:
                return False
            connection.execute(RATERS.update().filter_by(number=rater.number)
                               .values(position=rater.position - 1, since=time.time()))
        return True

    @staticmethod
    def _locked(connection: sa.Connection, rater: Rater) -> tp.Optional[sa.Row]:
        """The rater's row, for this transaction alone, if the next pair is still the same."""
        query = sa.select(RATERS).where(RATERS.c.number == rater.number, RATERS.c.position == rater.position)
        return connection.execute(query.with_for_update()).first()

    def all(self) -> tp.List[tp.Tuple[Rater, tp.List[Given]]]:
        """Every rater with every answer, in order."""
        given: tp.Dict[int, tp.List[Given]] = {}
        with self.engine.connect() as connection:
            for row in connection.execute(sa.select(CHOICES).order_by(CHOICES.c.rater, CHOICES.c.position)):
                given.setdefault(row.rater, []).append(Given(row.position, row.choice, row.seconds))
            raters = [_rater(row) for row in connection.execute(sa.select(RATERS).order_by(RATERS.c.number))]
        return [(rater, given.get(rater.number, [])) for rater in raters]


def _rater(row: sa.Row) -> Rater:
    return Rater(row.number, row.key, [Trial(**trial) for trial in row.plan], row.position, row.about, row.headphones)


def _keep_every_commit(connection: tp.Any, _: tp.Any) -> None:
    """Readers do not wait for the writer, and what was committed is on the disk."""
    for pragma in ('journal_mode=WAL', 'synchronous=FULL', 'foreign_keys=ON'):
        connection.execute(f'PRAGMA {pragma}')
