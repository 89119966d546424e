import pytest

from audiocraft_ti.data import lines


def test_lines_come_back_and_nothing_else_is_left(tmp_path):
    written = [{'prompt': 'a café'}, {'prompt': 'b\nc', 'n': 1}]
    path = lines.write(written, tmp_path / 'a.jsonl')
    assert lines.read(path) == written and [one.name for one in tmp_path.iterdir()] == ['a.jsonl']


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = lines.write([{'n': 1}], tmp_path / 'a.jsonl')
    with pytest.raises(TypeError):
        lines.write([{'n': object()}], path)
    assert lines.read(path) == [{'n': 1}]
