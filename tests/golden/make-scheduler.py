#!/usr/bin/env python3
"""Make tests/golden/scheduler/cases.jsonl: schedules with the scripted model of
fake_model.py, as diffusers runs them.

Needs diffusers and torch; run from the root of the source.  Each line has a
configuration, steps and eta, and the timesteps, the first deviation, and the
first four values of the sample after every evaluation.
"""
import json
import os
import sys

import diffusers

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fake_model import run  # noqa: E402

OUT = 'tests/golden/scheduler/cases.jsonl'
SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule='scaled_linear',
          num_train_timesteps=1000, steps_offset=1)
V = dict(SD, prediction_type='v_prediction')
PNDM, DDIM, DPM, EULER, UNIPC = (name + 'Scheduler' for name in (
    'PNDM', 'DDIM', 'DPMSolverMultistep', 'EulerDiscrete', 'UniPCMultistep'))
CASES = [
    # what the checkpoints ship
    (PNDM, dict(SD, skip_prk_steps=True, set_alpha_to_one=False), 50),
    (DDIM, dict(V, clip_sample=False, set_alpha_to_one=False), 50),
    (DPM, {}, 20),
    # what users put in their place
    (DDIM, dict(SD, clip_sample=False), 30),
    (DPM, SD, 25), (DPM, dict(V, use_karras_sigmas=True), 20),
    (EULER, SD, 30), (EULER, dict(V, timestep_spacing='trailing'), 20),
    (EULER, dict(SD, use_karras_sigmas=True), 25),
    (UNIPC, SD, 20), (UNIPC, dict(V, solver_order=3), 12),
    # odd ones
    (PNDM, {}, 10), (PNDM, dict(V, skip_prk_steps=True), 1),
    (PNDM, dict(V, timestep_spacing='trailing', skip_prk_steps=True), 7),
    (PNDM, dict(SD, timestep_spacing='linspace'), 4),
    (DDIM, {}, 3), (DDIM, dict(SD, timestep_spacing='linspace'), 5, 0.7),
    (DDIM, dict(V, timestep_spacing='trailing', rescale_betas_zero_snr=True,
                clip_sample=False), 6),
    (DDIM, dict(SD, prediction_type='sample', clip_sample_range=2.0), 7),
    (DDIM, dict(trained_betas=[0.01 * (i + 1) for i in range(20)],
                num_train_timesteps=20), 5),
    (DPM, dict(SD, solver_order=3), 16), (DPM, dict(SD, solver_order=3), 9),
    (DPM, dict(SD, solver_order=1, beta_schedule='squaredcos_cap_v2',
               lambda_min_clipped=-5.1), 8),
    (DPM, dict(SD, algorithm_type='dpmsolver', solver_type='heun',
               final_sigmas_type='sigma_min'), 15),
    (DPM, dict(SD, algorithm_type='sde-dpmsolver++', solver_type='heun'), 8),
    (DPM, dict(V, algorithm_type='sde-dpmsolver',
               final_sigmas_type='sigma_min', timestep_spacing='leading'), 8),
    (DPM, dict(SD, use_lu_lambdas=True, euler_at_final=True), 10),
    (DPM, dict(SD, use_exponential_sigmas=True,
               timestep_spacing='trailing'), 9),
    (EULER, dict(V, timestep_type='continuous', timestep_spacing='leading',
                 interpolation_type='log_linear'), 8),
    (UNIPC, dict(SD, solver_type='bh1', disable_corrector=[0, 2],
                 final_sigmas_type='sigma_min'), 10),
    (UNIPC, dict(SD, predict_x0=False, final_sigmas_type='sigma_min',
                 lower_order_final=False, solver_order=3), 10),
]


def main():
    diffusers.utils.logging.set_verbosity_error()
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, 'w', encoding='ascii') as f:
        for name, config, steps, *eta in CASES:
            config = dict(config, _class_name=name)
            scheduler = getattr(diffusers, name).from_config(config)
            times, start, trace = run(scheduler, steps, 16, *eta)
            f.write(json.dumps(dict(
                config=config, steps=steps, eta=eta[0] if eta else 0,
                times=times, start=start,
                trace=[[float(f'{x:.8g}') for x in row[:4]]
                       for row in trace])) + '\n')


main()
