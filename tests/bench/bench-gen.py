"""Seconds of the networks of bs-gen, of PyTorch (diffusers) and of OpenVINO, in
one run.

usage: bench-gen.py [--rows unet,vae] [--size 64x64] [--batch 2] [--threads N]
                    [--rounds 2] [--math f32,bf16] [--limit 480]
                    [--peers torch,torch-nhwc,openvino] NETWORKS PEAK

Stable Diffusion 1.5 at full size, random weights: a forward pass of the UNet
(with guidance an image is a batch of 2), a decoded image, and what follows for
an image of 50 steps of PNDM, which are 51 passes.  Further peers: torch-compile
(minutes of compiling), torch-bf16 and openvino-bf16, which are there by default
where the processor has instructions for bf16; OpenVINO says what it computes
in.  All take turns in every round and the best of each counts, so that a busy
machine slows none of them alone; no round begins later than --limit seconds.

Shares of the peak are of the multiply-adds of direct convolutions and whole
products (torch.utils.flop_counter), so Winograd's forms may pass it.
"""
import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f'{ROOT}/parity', f'{ROOT}/golden']
from networks import Program, channels_last, make, set_threads  # noqa: E402
from gen_random import randn  # noqa: E402

START = time.perf_counter()
PASSES = 51  # of 50 steps of PNDM
STEP = 501


def timed(fn):
    start = time.perf_counter()
    fn()
    return time.perf_counter() - start


class Net(torch.nn.Module):
    """The UNet or the decoder as a function of tensors."""

    def __init__(self, name):
        super().__init__()
        self.unet = name == 'unet'
        self.model = make('sd15' if self.unet else 'vae')
        if not self.unet:
            self.model.encoder = None

    def forward(self, x, *text):
        if self.unet:
            return self.model(x, torch.tensor(STEP), *text,
                              return_dict=False)[0]
        return self.model.decode(x / self.model.config.scaling_factor,
                                 return_dict=False)[0]


def inputs_of(args, name):
    batch = args.batch if name == 'unet' else 1
    x = (randn((batch, 4, *args.size), 5),)
    return x + ((randn((batch, 77, 768), 6),) if name == 'unet' else ())


def gigaflops(net, inputs):
    """Counted on the device without memory, where attention is two products."""
    with torch.device('meta'):
        model = type(net.model).from_config(net.model.config)
        x, *text = [torch.empty(i.shape) for i in inputs]
        with FlopCounterMode(display=False) as counter:
            if net.unet:
                model(x, torch.tensor(STEP), *text)
            else:
                model.decode(x)
    return counter.get_total_flops() * 1e-9


# ---- who takes part: functions that return seconds --------------------------

def torch_peer(net, inputs, form=torch.contiguous_format, dtype=torch.float32):
    def run():
        net.to(dtype=dtype, memory_format=form)
        x = [i.to(dtype) for i in inputs]
        x[0] = x[0].to(memory_format=form)
        try:
            with torch.inference_mode():
                return timed(lambda: net(*x))
        finally:
            net.to(dtype=torch.float32)
    return run


def compiled_peer(net, inputs):
    net.to(memory_format=torch.channels_last)
    fast = torch.compile(net)
    x = [inputs[0].to(memory_format=torch.channels_last), *inputs[1:]]
    with torch.inference_mode():
        print(f'# torch.compile: {timed(lambda: fast(*x)):.0f} s')

    def run():
        net.to(memory_format=torch.channels_last)
        with torch.inference_mode():
            return timed(lambda: fast(*x))
    return run


def write_openvino(args, name, path):
    """In a process of its own, whose memory goes with it."""
    import openvino as ov
    net, inputs = Net(name).eval(), inputs_of(args, name)
    with torch.no_grad():
        model = ov.convert_model(torch.export.export(net, inputs),
                                 example_input=inputs)
    ov.save_model(model, path, compress_to_fp16=False)


def openvino_peer(args, inputs, path, precision):
    import openvino as ov
    compiled = ov.Core().compile_model(path, 'CPU', {
        'INFERENCE_PRECISION_HINT': precision, 'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': args.threads})
    used = compiled.get_property('INFERENCE_PRECISION_HINT').get_type_name()
    print(f'# OpenVINO {ov.__version__.split("-")[0]}, asked for {precision}: '
          f'computes in {used}', flush=True)
    request, x = compiled.create_infer_request(), [i.numpy() for i in inputs]
    return lambda: timed(lambda: request.infer(x))


def has_bf16():
    with open('/proc/cpuinfo') as f:
        return any(word in f.read() for word in ('avx512_bf16', 'amx_bf16'))


def convert(args, name, work):
    """The path of OpenVINO's model, or None with the reason."""
    path = f'{work}/openvino.xml'
    r = subprocess.run([sys.executable, os.path.abspath(__file__),
                        '--convert', path, '--rows', name,
                        '--size', '{}x{}'.format(*args.size),
                        '--batch', str(args.batch), args.networks, args.peak],
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if r.returncode == 0:
        return path
    last = r.stderr.decode(errors='replace').strip().split('\n')[-1]
    print(f'# no OpenVINO: {last}', flush=True)
    return None


def contenders(args, name, work):
    """{name: function}, and the programs to close."""
    inputs, runs = inputs_of(args, name), {}
    path = None
    if any(p.startswith('openvino') for p in args.peers):
        path = convert(args, name, work)
    for peer in args.peers:
        if path and peer.startswith('openvino'):
            runs[peer] = openvino_peer(
                args, inputs, path, 'bf16' if peer.endswith('bf16') else 'f32')
    net = Net(name).eval()
    args.gigaflops = gigaflops(net, inputs)
    net.model.save_pretrained(work)
    for peer in args.peers:
        if peer == 'torch-compile':
            runs[peer] = compiled_peer(net, inputs)
        elif peer.startswith('torch'):
            runs[peer] = torch_peer(
                net, inputs, torch.contiguous_format if peer == 'torch'
                else torch.channels_last,
                torch.bfloat16 if peer == 'torch-bf16' else torch.float32)
    tensors = {'latents': channels_last(inputs[0])}
    if name == 'unet':
        tensors.update(text=inputs[1], steps=torch.tensor([float(STEP)]))
    programs = []
    for math in args.math:
        program = Program(args.networks, name, work, tensors, math,
                          args.threads)
        runs[f'bs-gen {math}'] = lambda p=program: p.ask(0)[0]
        programs.append(program)
    return runs, programs


# ---- rows --------------------------------------------------------------------

def measure_peak(args):
    return float(subprocess.run([args.peak, str(args.threads)], check=True,
                                stdout=subprocess.PIPE).stdout)


def table(what, best, gf, peak):
    peers = [v for k, v in best.items() if not k.startswith('bs-gen')]
    for key, seconds in best.items():
        share = f'{gf / seconds / peak:6.2f} of the peak' if peak and gf else ''
        ratio = f'{min(peers) / seconds:6.2f} x the fastest peer' \
            if peers and key.startswith('bs-gen') else ''
        print(f'{what:28} {key:14} {seconds:8.2f} s {share} {ratio}',
              flush=True)


def row(args, name, work):
    runs, programs = contenders(args, name, work)
    gc.collect()
    best, peak = {}, 0.0
    for i in range(args.rounds):
        if i > 0 and time.perf_counter() - START > args.limit:
            print(f'# {i} rounds: the time is over', flush=True)
            break
        peak = max(peak, measure_peak(args))
        for key, run in runs.items():
            best[key] = min(best.get(key, float('inf')), run())
    for program in programs:
        program.close()
    height, width = args.size
    batch = f', batch {args.batch}' if name == 'unet' else ''
    print(f'# {name}: {args.gigaflops:.0f} GF; f32 peak {peak:.0f} GF/s; load '
          f'{os.getloadavg()[0]:.1f}')
    table(f'{name} {height} x {width}{batch}', best, args.gigaflops, peak)
    return best


def main():
    bf16 = ['torch-bf16', 'openvino-bf16'] if has_bf16() else []
    p = argparse.ArgumentParser()
    p.add_argument('--rows', type=lambda s: s.split(','),
                   default=['unet', 'vae'])
    p.add_argument('--peers', type=lambda s: s.split(','),
                   default=['torch', 'torch-nhwc', 'openvino', *bf16])
    p.add_argument('--size', type=lambda s: tuple(map(int, s.split('x'))),
                   default=(64, 64), help='of the latents, HEIGHTxWIDTH')
    p.add_argument('--batch', type=int, default=2)
    p.add_argument('--threads', type=int,
                   default=len(os.sched_getaffinity(0)))
    p.add_argument('--rounds', type=int, default=2)
    p.add_argument('--limit', type=float, default=480)
    p.add_argument('--math', type=lambda s: s.split(','),
                   default=['f32', 'bf16'])
    p.add_argument('--convert', help=argparse.SUPPRESS)
    p.add_argument('networks')
    p.add_argument('peak')
    args = p.parse_args()
    set_threads(args.threads)
    if args.convert:
        write_openvino(args, args.rows[0], args.convert)
        return
    rows = {}
    for name in args.rows:
        with tempfile.TemporaryDirectory() as work:
            rows[name] = row(args, name, work)
    if set(rows) >= {'unet', 'vae'} and args.batch == 2:
        table(f'image, {PASSES} passes', {
            k: PASSES * rows['unet'][k] + rows['vae'][k]
            for k in rows['unet'] if k in rows['vae']}, 0, 0)
    print(f'# {time.perf_counter() - START:.0f} s in all', file=sys.stderr)


main()
