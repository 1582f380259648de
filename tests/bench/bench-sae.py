"""Tokens a second of top-k codes at 768 x 32,000: bs-sae encode and overcomplete on PyTorch, in one run.

usage: bench-sae.py [--concepts 32000] [--width 768] [-k 5] [--threads N] [--rounds 3] BS-SAE

The same random weights and tokens for both.  overcomplete gets its tokens as a
tensor, in the batch that suits it best; bs-sae reads a stream, writes a stream,
and is timed as a process at two numbers of tokens, whose difference leaves the
start out.  All take turns in every round and the best of each counts.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from overcomplete.sae import TopKSAE
from safetensors.numpy import save_file

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from sae_reference import write_model  # noqa: E402

FEW, MANY = 2048, 18432  # tokens of the two timed runs of bs-sae
BATCHES = (256, 1024, 4096)


class Ours:
    def __init__(self, args, work):
        self.command = [args.sae, 'encode', '-m', f'{work}/model.safetensors', f'--threads={args.threads}']
        self.inputs = f'{work}/{FEW}.safetensors', f'{work}/{MANY}.safetensors'
        self.least = [float('inf')] * 2

    def memory(self):
        """MiB at most, seen from outside: what a parent hears of its children counts itself."""
        most = 0
        with subprocess.Popen(self.command + [self.inputs[1]], stdout=subprocess.DEVNULL) as run:
            while run.poll() is None:
                with open(f'/proc/{run.pid}/status') as status:
                    most = max([most] + [int(line.split()[1]) for line in status if line.startswith('VmHWM')])
                time.sleep(0.01)
        return most / 1024

    def round(self):
        for i, path in enumerate(self.inputs):
            start = time.perf_counter()
            subprocess.run(self.command + [path], check=True, stdout=subprocess.DEVNULL)
            self.least[i] = min(self.least[i], time.perf_counter() - start)

    def rate(self):
        return (MANY - FEW) / (self.least[1] - self.least[0])


class Peer:
    def __init__(self, sae, x):
        self.sae, self.x, self.best = sae, x, 0.0

    def round(self):
        for n in BATCHES:
            start = time.perf_counter()
            with torch.inference_mode():
                for i in range(0, 4096, n):
                    self.sae.encode(self.x[i:i + n])
            rate = 4096 / (time.perf_counter() - start)
            if rate > self.best:
                self.best, self.batch = rate, n


def fma_peak(threads, size=2048):
    """GF/s of the library's own product of matrices: what a dense encoder could reach."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = float('inf')
    for _ in range(8):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2e-9 * size ** 3 / best


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--concepts', type=int, default=32000)
    p.add_argument('--width', type=int, default=768)
    p.add_argument('-k', type=int, default=5)
    p.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('sae')
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    sae = TopKSAE(args.width, args.concepts, top_k=args.k).eval()
    x = torch.randn(MANY, args.width)
    with tempfile.TemporaryDirectory() as work, torch.no_grad():
        layer = sae.encoder.final_block[0]
        write_model(f'{work}/model.safetensors',
                    {'enc_w': layer.weight.numpy().copy(), 'enc_b': layer.bias.numpy().copy(),
                     'dec_w': sae.get_dictionary().numpy().copy()},
                    {'bs.sae': '1', 'name': 'bench', 'select': 'topk', 'k': str(args.k)})
        for n in (FEW, MANY):
            save_file({'x': x[:n].numpy().astype(np.float16)}, f'{work}/{n}.safetensors')
        ours, peer = Ours(args, work), Peer(sae, x)
        for _ in range(args.rounds):
            ours.round()
            peer.round()
        memory = ours.memory()
    flops = 2e-9 * args.width * args.concepts
    product = fma_peak(args.threads)
    print(f'# {args.concepts} concepts of width {args.width}, k = {args.k}, {args.threads} threads')
    print(f'bs-sae encode            {ours.rate():8.0f} tokens/s   as {ours.rate() * flops:6.1f} GF/s of dense f32'
          f' ({ours.rate() * flops / product:.2f} of the matrix product of PyTorch)')
    print(f'overcomplete (batch {peer.batch:4d})  {peer.best:8.0f} tokens/s   ratio {ours.rate() / peer.best:.2f}')
    print(f'memory of bs-sae encode  {memory:8.0f} MiB')


main()
