import pytest

from audiocraft_ti.solvers.verdict import gap_closure, verdict

METRICS = {'ce_start': 5., 'ce_no_text': 4.5, 'ce_class_word': 4.}


@pytest.mark.parametrize('ce, begins', [
    (4.9999, '<a> has gained nothing so far; if this goes on, change the learning rate first (optim.lr'),
    (4.7, '<a> is learning, but the model still does better without any text'),
    (4.2, '<a> is learning, but the class word still does better'),
    (3.9, '<a> is learning: held-out loss 3.900 with <a>, 5.000 before learning, 4.500 without text, '
          "4.000 with the word 'drum beat'."),
])
def test_says_what_it_beats(ce, begins):
    sentence = verdict('<a>', ce, METRICS, 'drum beat')
    assert sentence.startswith(begins) and '\n' not in sentence


@pytest.mark.parametrize('ce, word, closure', [
    (4.5, 4., 0), (4., 4., 1), (3.9, 4., 1.2), (4.6, 4., -0.2), (4., 4.5, None)])
def test_gap_closure(ce, word, closure):
    assert gap_closure(ce, 4.5, word) == (None if closure is None else pytest.approx(closure))


def test_gap_closure_is_told():
    assert verdict('<a>', 3.9, {**METRICS, 'gap_closure': 1.2}, 'x').endswith(' Gap closure 1.20.')


def test_without_a_class_word():
    assert verdict('<a>', 4.2, {'ce_start': 5., 'ce_no_text': 4.5}) == (
        '<a> is learning: held-out loss 4.200 with <a>, 5.000 before learning, 4.500 without text.')


def test_not_a_number_is_not_learning():
    assert 'gained nothing' in verdict('<a>', float('nan'), METRICS, 'x')
