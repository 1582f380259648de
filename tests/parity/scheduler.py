#!/usr/bin/env python3
"""Hold the schedulers against diffusers on random configurations.

    scheduler.py [--count 2000] [--seed 1] build/release/tests/parity/schedules

A scripted model of its own input and timestep runs through both; timesteps and
every sample on the way are compared.  The error is the largest difference over
the largest value so far: schedules that begin at a sigma of thousands cancel.
"""
import argparse
import json
import os
import random
import struct
import subprocess
import sys
import warnings

import diffusers
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from fake_model import run  # noqa: E402

BAR = 1e-5
# Where numbers nearly cancel (alphas of almost 0, sigmas almost equal), and
# where whole timesteps are cut from logarithms in f32.
LOOSE, CUT = 5e-3, 1
N = 64


def ill_conditioned(config):
    return (config.get('beta_schedule') == 'squaredcos_cap_v2'
            or config.get('rescale_betas_zero_snr')
            or config.get('num_train_timesteps', 0) > 1000
            or config.get('predict_x0') is False)


def draw(rng):
    """A random configuration, steps and eta."""
    name = rng.choice(['PNDM', 'DDIM', 'DPMSolverMultistep', 'EulerDiscrete',
                       'UniPCMultistep']) + 'Scheduler'
    c = {'_class_name': name}

    def maybe(key, *values, chance=0.5):
        if rng.random() < chance:
            c[key] = rng.choice(values)

    maybe('beta_schedule', 'linear', 'scaled_linear', 'scaled_linear',
          'squaredcos_cap_v2', chance=0.9)
    maybe('beta_start', 0.00085, 0.0001, 0.002)
    maybe('beta_end', 0.012, 0.02, 0.01)
    maybe('num_train_timesteps', 1000, 1000, 500, 777, 1500, chance=0.3)
    maybe('timestep_spacing', 'linspace', 'leading', 'trailing', chance=0.8)
    maybe('steps_offset', 0, 1, 1, chance=0.7)
    predicts = ['epsilon', 'v_prediction', 'v_prediction', 'sample']
    maybe('prediction_type', *predicts[:3 if name[0] == 'P' else 4])
    if name != 'PNDMScheduler':
        maybe('rescale_betas_zero_snr', True, chance=0.15)
    if name == 'PNDMScheduler':
        maybe('skip_prk_steps', True, True, False, chance=0.9)
        maybe('set_alpha_to_one', True, False)
    elif name == 'DDIMScheduler':
        maybe('set_alpha_to_one', True, False)
        maybe('clip_sample', True, False, chance=0.8)
        maybe('clip_sample_range', 1.0, 2.5)
    else:
        maybe('final_sigmas_type', 'zero', 'sigma_min')
        maybe(rng.choice(['use_karras_sigmas', 'use_exponential_sigmas']
                         + ['use_lu_lambdas'] * (name[0] == 'D')),
              True, chance=0.3)
    if name[0] == 'D' and name[1] == 'P':
        maybe('solver_order', 1, 2, 3)
        maybe('algorithm_type', 'dpmsolver++', 'dpmsolver', 'sde-dpmsolver++',
              'sde-dpmsolver', chance=0.6)
        if c.get('algorithm_type', '+')[-1] != '+':
            c['final_sigmas_type'] = 'sigma_min'
            if c['algorithm_type'][0] == 's' and c.get('solver_order') == 3:
                c['solver_order'] = 2
        maybe('solver_type', 'midpoint', 'heun')
        maybe('lower_order_final', True, False)
        maybe('euler_at_final', True, False)
        maybe('lambda_min_clipped', -5.1, -float('inf'), chance=0.3)
    elif name[0] == 'E':
        maybe('interpolation_type', 'linear', 'log_linear', chance=0.4)
        maybe('timestep_type', 'discrete', 'continuous', chance=0.3)
    elif name[0] == 'U':
        maybe('solver_order', 1, 2, 3)
        maybe('solver_type', 'bh1', 'bh2')
        maybe('predict_x0', True, False, chance=0.6)
        maybe('lower_order_final', True, True, False)
        if c.get('lower_order_final') is False:
            c['final_sigmas_type'] = 'sigma_min'
        maybe('disable_corrector', [0], [0, 1, 2], [], chance=0.3)
    eta = rng.choice([0, 0, 0.5, 1]) if name == 'DDIMScheduler' else 0
    return c, rng.choice([1, 2, 3, 4, 5, 7, 10, 14, 15, 20, 25, 30, 50, 50,
                          100, 333]), eta


def theirs(config, steps, eta):
    """What diffusers gives, or None where it fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            cls = getattr(diffusers, config['_class_name'])
            return run(cls.from_config(config), steps, N, eta)
    except (IndexError, ValueError, RuntimeError, AssertionError) as error:
        return str(error) or type(error).__name__


def ours(driver, cases):
    lines = ''.join(json.dumps(dict(config=c, steps=s, eta=e, n=N)) + '\n'
                    for c, s, e in cases)
    data = subprocess.run([driver], input=lines.encode(), check=True,
                          stdout=subprocess.PIPE).stdout
    at = 0
    for _ in cases:
        count, = struct.unpack_from('<I', data, at)
        at += 4
        if count == 0:
            end = data.index(b'\n', at)
            yield data[at:end].decode()
            at = end + 1
            continue
        start, = struct.unpack_from('<f', data, at)
        rows = np.frombuffer(data, '<f4', count * (N + 1), at + 4)
        rows = rows.reshape(count, N + 1)
        at += 4 + 4 * rows.size
        yield list(rows[:, 0]), start, rows[:, 1:]


def compare(config, got, want):
    """(error, what is wrong or '')."""
    bar = LOOSE if ill_conditioned(config) else BAR
    if isinstance(want, str) or isinstance(got, str):
        failed = isinstance(want, str) or not np.isfinite(want[2]).all()
        return 0, '' if failed and isinstance(got, str) else f'{got!s:.80}, not {want!s:.80}'
    if len(got[0]) != len(want[0]):
        return 0, f'{len(got[0])} timesteps, not {len(want[0])}'
    if not np.allclose(got[0], want[0], rtol=1e-6, atol=10 * bar):
        if (config.get('use_exponential_sigmas')
                or ill_conditioned(config)) and np.allclose(
                got[0], want[0], rtol=0, atol=CUT):
            return 0, ''
        off = np.abs(np.subtract(got[0], want[0])).max()
        return 0, f'timesteps off by {off}'
    if abs(got[1] - want[1]) > bar * want[1]:
        return 0, f'start {got[1]}, not {want[1]}'
    error, scale = 0, want[1]
    for a, b in zip(got[2], want[2]):
        if not np.isfinite(b).all():
            return error, ''  # diffusers divides by zero
        scale = max(scale, np.abs(b).max())
        error = max(error, np.abs(a - b).max() / scale)
    return error, '' if error <= bar else f'error {error:.1e}'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--count', type=int, default=2000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('driver')
    args = parser.parse_args()
    rng = random.Random(args.seed)
    cases = [draw(rng) for _ in range(args.count)]
    worst, bad, refused = {}, 0, 0
    diffusers.utils.logging.set_verbosity_error()
    for case, got in zip(cases, ours(args.driver, cases)):
        want = theirs(*case)
        error, wrong = compare(case[0], got, want)
        name = case[0]['_class_name']
        if not ill_conditioned(case[0]):
            worst[name] = max(worst.get(name, 0), error)
        refused += isinstance(want, str)
        if wrong:
            bad += 1
            print(f'  {json.dumps(case[0])} {case[1]} steps, eta {case[2]}: '
                  f'{wrong}')
    print(f'diffusers {diffusers.__version__}: {args.count} schedules, {bad} '
          f'differ, {refused} refused by both')
    for name, error in sorted(worst.items()):
        print(f'  {name}: largest relative error {error:.1e} '
              '(but for ill-conditioned schedules)')
    return bad > 0


if __name__ == '__main__':
    sys.exit(main())
