import pytest

from audiocraft_ti.data.prompts import concepts_of, load_edits, load_prompts, NEUTRAL_PROMPTS
from audiocraft_ti.errors import UserError

NOT_NEUTRAL = {'song', 'music', 'melody', 'beat', 'jazz', 'rock', 'disco', 'happy', 'sad', 'good', 'great', 'bad',
               'nice', 'beautiful', 'loud', 'quiet', 'fast', 'slow', 'guitar', 'drum', 'piano', 'instrument',
               'professional'}


def test_there_are_31_neutral_prompts_the_papers_two_among_them():  # P5
    assert len(set(NEUTRAL_PROMPTS)) == 31
    assert {'A recording of a {}', 'The sound of {}'} <= set(NEUTRAL_PROMPTS)
    assert all(prompt.count('{}') == 1 for prompt in NEUTRAL_PROMPTS)
    assert not NOT_NEUTRAL & {word.lower() for prompt in NEUTRAL_PROMPTS for word in prompt.split()}


@pytest.mark.parametrize('prompt, names', [
    ('A <amen> under a <oud:0.3>, <amen:>', ['amen', 'oud', 'amen']), ('1 < 2 > 0 <a b> <>', [])])
def test_concepts_are_found_with_and_without_a_share(prompt, names):
    assert concepts_of(prompt) == names


def test_from_nothing_a_list_or_a_file(tmp_path):
    assert load_prompts(None) == NEUTRAL_PROMPTS
    assert load_prompts(['one {}']) == ['one {}']
    (tmp_path / 'p.txt').write_text('first {}\n\n second {} \n')
    assert load_prompts(str(tmp_path / 'p.txt')) == ['first {}', 'second {}']


def test_edits_are_none_a_list_or_those_of_a_benchmark(tmp_path):
    assert load_edits(None) == [] and load_edits(['a {} in the rain']) == ['a {} in the rain']
    (tmp_path / 'b.json').write_text('{"editability_prompts": ["a {} under water"], "concepts": {}}')
    assert load_edits(str(tmp_path / 'b.json')) == ['a {} under water']


@pytest.mark.parametrize('source', [[], [''], ['A recording of a guitar'], ['fine {}', 'A recording'],
                                    ['a {genre} song with a {}'], ['a <oud> and a {}']])
def test_bad_lists(source):
    with pytest.raises(UserError, match='neutral_prompts'):
        load_prompts(source)


def test_bad_files(tmp_path):
    (tmp_path / 'binary').write_bytes(b'\xff\xfe\x00')
    (tmp_path / 'other.json').write_text('{"prompts": []}')
    for name in ('gone.txt', 'binary', 'other.json'):
        with pytest.raises(UserError, match=name):
            load_prompts(str(tmp_path / name))
