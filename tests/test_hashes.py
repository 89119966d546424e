import torch

from audiocraft_ti.hashes import file_hash, tensors_hash


def test_hash_does_not_depend_on_type_order_or_device():
    a, b = torch.rand(2, 3).half(), torch.rand(4)
    assert tensors_hash({'a': a, 'b': b}) == tensors_hash({'b': b, 'a': a.float()})
    assert tensors_hash({'a': a, 'b': b}) != tensors_hash({'a': a, 'b': b + 1})
    assert tensors_hash({'a': a.bfloat16()}) == tensors_hash({'a': a.bfloat16().float()})


def test_file_hash_is_that_of_sha256sum(tmp_path):
    (tmp_path / 'a').write_bytes(b'abc')
    assert file_hash(tmp_path / 'a').startswith('ba7816bf8f01cfea414140de5dae2223')  # FIPS 180-2, appendix B.1
