"""Random DINOv2 models whose every part matters to the result.

Shared by make-dinov2.py (tiny, committed) and tests/parity/dinov2.py (at the
real sizes).  The libraries' own initialisation leaves layer scales at 1e-5 and
biases at 0, so that a forgotten layer would hardly show; here the residual
stream stays of order 1 and each tensor differs from its neighbours.
"""
import math
import torch


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)

    def normal(p, std, mean=0.0):
        p.copy_(torch.randn(p.shape, generator=g) * std + mean)

    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if name.endswith(('lambda1', 'gamma')):
                p.copy_(torch.rand(p.shape, generator=g) * 0.9 + 0.1)
            elif 'norm' in name:
                normal(p, 0.2, 1.0 if name.endswith('weight') else 0.0)
            elif name.endswith('bias'):
                normal(p, 0.2)
            elif name.endswith('weight'):
                normal(p, 1.0 / math.sqrt(p[0].numel()))
            else:  # tokens and positions
                normal(p, 0.5)
    return model.eval()
