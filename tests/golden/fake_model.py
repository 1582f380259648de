"""A scripted model for schedulers, as tests/unit/fake_model.h has it, and a run
of a diffusers scheduler with it."""
import numpy as np
import torch

F = np.float32


def number(n, kind):
    x = (np.arange(1, n + 1, dtype=np.uint64) * 2654435761
         + kind * 40503).astype(np.uint32)
    return (x >> 8).astype(F) / F(8388608) - F(1)


def predict(sample, time):
    return sample * F(0.5) + number(len(sample), 1) * (
        F(0.5) + F(time) * F(0.0009765625))


def run(scheduler, steps, n, eta=0):
    """(timesteps, first deviation, sample after each evaluation)."""
    scheduler.set_timesteps(steps)
    shape = (1, 4, 1, n // 4)
    start = F(float(scheduler.init_noise_sigma))
    sample = torch.from_numpy(number(n, 2) * start).reshape(shape)
    trace = []
    for k, t in enumerate(scheduler.timesteps):
        shown = scheduler.scale_model_input(sample, t)
        out = predict(shown.numpy().ravel(), t.item())
        noise = torch.from_numpy(number(n, 3 + k)).reshape(shape)
        more = {}
        if type(scheduler).__name__ == 'DDIMScheduler':
            more = dict(eta=eta, variance_noise=noise if eta else None)
        elif type(scheduler).__name__ == 'DPMSolverMultistepScheduler':
            more = dict(variance_noise=noise)
        sample = scheduler.step(torch.from_numpy(out).reshape(shape), t,
                                sample, return_dict=False, **more)[0]
        trace.append(sample.numpy().ravel().copy())
    return ([float(t) for t in scheduler.timesteps], float(start),
            np.stack(trace))
