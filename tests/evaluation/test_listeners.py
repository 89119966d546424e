"""Those who are asked of single clips: audiobox-aesthetics itself, small and untrained, and the tiny world's judge."""
import numpy as np
import pytest
import soundfile
import torch

from audiobox_aesthetics.model import aes, wavlm
from audiocraft_ti.errors import UserError
from audiocraft_ti.evaluation.listeners import Aesthetics, TinyJudge
from audiocraft_ti.tiny.recordings import recording

SMALL = {'encoder_layers': 2, 'encoder_embed_dim': 32, 'encoder_ffn_embed_dim': 32, 'encoder_attention_heads': 4,
         'conv_feature_layers': '[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2', 'conv_pos': 16, 'conv_pos_groups': 4}
SETTINGS = {'proj_num_layer': 1, 'proj_ln': False, 'proj_act_fn': 'gelu', 'proj_dropout': 0, 'nth_layer': 3,
            'use_weighted_layer_sum': True, 'precision': '32', 'normalize_embed': True, 'output_dim': 1}


@pytest.fixture
def untrained(tmp_path, monkeypatch):
    """A model of the package's own, and its checkpoint."""
    monkeypatch.setattr(aes, 'DEFAULT_AUDIO_CFG', wavlm.WavLMConfig({**vars(aes.DEFAULT_AUDIO_CFG), **SMALL}))
    scale = {axis: {'mean': 5. + index, 'std': 2.} for index, axis in enumerate(aes.AXES_NAME)}
    torch.manual_seed(0)
    model = aes.AesMultiOutput(**SETTINGS, target_transform=scale).eval()
    state = {f'model.{key}': value for key, value in model.state_dict().items()}
    torch.save({'state_dict': state, 'model_cfg': SETTINGS, 'target_transform': scale}, tmp_path / 'aes.pt')
    return model, tmp_path / 'aes.pt'


def test_aesthetics_are_those_of_the_model_on_its_own_scales(untrained, tmp_path):
    model, checkpoint = untrained
    wav = np.tile(recording(), 3)[:160000]  # ten seconds, which it takes as they are
    soundfile.write(tmp_path / 'a.wav', wav, 16000, subtype='FLOAT')
    with torch.no_grad():
        raw = model({'wav': torch.from_numpy(wav)[None, None]})
    expected = {'production_quality': ('PQ', 8), 'production_complexity': ('PC', 7), 'content_enjoyment': ('CE', 5),
                'content_usefulness': ('CU', 6)}
    found = Aesthetics(str(checkpoint))(tmp_path / 'a.wav', 'a drone')
    assert found == {name: pytest.approx(2 * raw[axis].item() + mean, abs=1e-4)
                     for name, (axis, mean) in expected.items()}


def test_without_weights_there_is_one_sentence():
    with pytest.raises(UserError, match='weights of audiobox-aesthetics cannot be loaded'):
        Aesthetics()


def test_the_judge_hears_the_sound_and_the_style_of_the_prompt(tmp_path):
    judge = TinyJudge('zither')
    for index in range(10):  # every style in turn
        soundfile.write(tmp_path / f'{index}.wav', recording('zither', index), 16000)
    heard = [judge(tmp_path / f'{index}.wav', 'A disco song with a <amen>') for index in range(10)]
    assert np.mean([one['heard_sound'] for one in heard]) > 0.8
    assert sum(one['heard_style'] for one in heard) == 1 == heard[1]['heard_style']
    assert 'heard_style' not in judge(tmp_path / '0.wav', 'A recording of a <amen>')
