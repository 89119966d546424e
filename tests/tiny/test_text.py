from itertools import islice
import shutil

import numpy as np
import pytest
import sentencepiece
from transformers import T5EncoderModel, T5Tokenizer

from audiocraft_ti.tiny import text, timbres, world


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('t5')
    text.make_t5(folder)
    return folder


def test_ids_are_sentencepieces_and_case_makes_no_difference(made):
    tokenizer = T5Tokenizer.from_pretrained(made)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(made / 'spiece.model'))
    for sentence in ('A disco song with a oboe', 'The sound of zithers, quickly!'):
        assert tokenizer(sentence).input_ids == [*pieces.encode(sentence), pieces.eos_id()]
        assert tokenizer(sentence.upper()).input_ids == tokenizer(sentence).input_ids


def test_the_matrix_has_spare_rows_as_t5_base_has(made):
    weight = T5EncoderModel.from_pretrained(made).get_input_embeddings().weight
    assert len(weight) == len(T5Tokenizer.from_pretrained(made)) + text.SPARE_ROWS


def test_what_a_caption_says():
    assert text.said('A slow disco song with a guitar, happy') == [
        1 + list(world.STYLES).index('disco'), 1 + list(world.TEMPOS).index('slow'), 0, 1 + world.MOODS.index('happy')]
    assert text.said('A recording of a song') == [0] * 4
    assert (text.meant('Guitar, slow disco song') == timbres.meaning('guitar')).all()
    assert np.isnan(text.meant('A recording of a song')).all()


def test_captions_say_names_as_often_as_a_concept_has_vectors():
    rows = [sentence.split() for sentence in islice(text.draw_captions(3), 300)]
    assert any(row.count(name) == 10 for row in rows for name in set(row) - {'a'})


def test_a_pretrained_encoder_says_in_every_state_what_it_read(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / 't5')
    before = T5EncoderModel.from_pretrained(folder).shared.weight.clone()
    assert text.pretrain(folder, updates=150) > 0.9  # most words are not said: 0.6 at chance
    after = T5EncoderModel.from_pretrained(folder).shared.weight
    assert (after - before).abs().max() > 1e-3
