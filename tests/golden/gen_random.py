"""Random weights for diffusers' models, and the residual updates of their
transformers: shared by the golden data and the parity runs."""
import torch
from diffusers.models import Transformer2DModel


def randn(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def randomise(model, seed):
    """Weights that keep activations near 1; norms around 1."""
    with torch.no_grad():
        for i, (name, p) in enumerate(sorted(model.named_parameters())):
            fan = p[0].numel() if p.dim() > 1 else 1
            scale = (1 / fan) ** 0.5 if p.dim() > 1 else 0.2
            p.copy_(randn(tuple(p.shape), 1000 * seed + i) * scale)
            if 'norm' in name and name.endswith('weight'):
                p.add_(1)
    return model.eval()


def trace_updates(model):
    """Collect output - input of every transformer of the next pass."""
    updates, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, Transformer2DModel):
            def hook(module, args, kwargs, output, name=name):
                x = args[0] if args else kwargs['hidden_states']
                updates[name] = output[0] - x
            handles.append(module.register_forward_hook(hook,
                                                        with_kwargs=True))
    return updates, handles
