import torch

from audiocraft_ti.optim.l1_decay import L1Decay


def test_it_shrinks_by_rate_times_decay_and_never_crosses_zero():
    v = torch.nn.Parameter(torch.tensor([[1., -0.5], [0.0005, -0.001]]))
    L1Decay(0.01)(torch.optim.SGD([v], lr=0.1))
    torch.testing.assert_close(v.data, torch.tensor([[0.999, -0.499], [0., 0.]]))


def test_it_follows_each_step_and_is_decoupled_from_the_gradients_moments():
    """Against AdamW's formula in float64, its rate changed between the steps."""
    lr, decay, gradients = (0.1, 0.05), 0.3, ([0.4, -2.], [-0.1, 1.])
    v = torch.nn.Parameter(torch.tensor([1., -0.001], dtype=torch.float64))
    optimizer = torch.optim.AdamW([v], lr=1., betas=(0.9, 0.999), weight_decay=0.)
    optimizer.register_step_post_hook(L1Decay(decay))
    ours, first, second = [1., -0.001], [0., 0.], [0., 0.]
    for t, (rate, gradient) in enumerate(zip(lr, gradients), 1):
        optimizer.param_groups[0]['lr'] = rate
        v.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        for i, g in enumerate(gradient):
            first[i], second[i] = 0.9 * first[i] + 0.1 * g, 0.999 * second[i] + 0.001 * g * g
            step = ours[i] - rate * (first[i] / (1 - 0.9 ** t)) / ((second[i] / (1 - 0.999 ** t)) ** 0.5 + 1e-8)
            ours[i] = (1 if step > 0 else -1) * max(abs(step) - rate * decay, 0)
    torch.testing.assert_close(v.data, torch.tensor(ours, dtype=torch.float64))
