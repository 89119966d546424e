import pytest
import torch

from audiocraft_ti.optim.warmup_exponential_lr_scheduler import WarmupExponentialLRScheduler


def rates(count, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler = WarmupExponentialLRScheduler(optimizer, **options)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return found


def test_it_rises_tenfold_for_ten_updates_and_falls_by_a_hundredth_after_that():
    expected = [0.5e-10, 0.5e-9, 0.5e-8, 0.5e-7, 0.5e-6, 0.5e-5, 0.5e-4, 0.5e-3, 0.5e-2, 0.05, 0.5, 0.495, 0.49005]
    assert rates(13) == pytest.approx(expected, rel=1e-9)
    assert rates(111)[110] == pytest.approx(0.5 * 0.99 ** 100)


def test_warmup_and_fall_can_be_set():
    assert rates(4, warmup=1, gamma=0.5) == pytest.approx([0.05, 0.5, 0.25, 0.125])


def test_it_goes_on_where_it_was():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    first = WarmupExponentialLRScheduler(optimizer)
    for _ in range(12):
        optimizer.step()
        first.step()
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    second = WarmupExponentialLRScheduler(other)
    other.load_state_dict(optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    for each in (optimizer, other):
        each.step()
    first.step(), second.step()
    assert other.param_groups[0]['lr'] == optimizer.param_groups[0]['lr'] == pytest.approx(0.5 * 0.99 ** 3)
