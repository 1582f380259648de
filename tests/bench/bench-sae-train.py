"""Tokens a second of training at 768 x 32,000: bs-sae train and overcomplete on PyTorch, in one run.

usage: bench-sae-train.py [--concepts 32000] [--width 768] [-k 5] [--batch 4096] [--points N] [--threads N]
                          [--rounds 2] [--rows topk,batchtopk,...] BS-SAE

The same weights, batches and options for both: AdamW, clipping, mean square error.  overcomplete runs its own
train_sae over tensors that are there; bs-sae reads a file and is timed as a process at two numbers of steps,
whose difference leaves start and end out.  They take turns in every round and the best of each counts.  The loss
of the last step is shown for both: what is timed is the same work.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from overcomplete.sae.train import train_sae
from safetensors.numpy import save_file

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{ROOT}/golden')
from sae_reference import write_model  # noqa: E402
from sae_train_reference import build, case, model_meta, snapshot, tokens  # noqa: E402

FEW, MANY = 1, 5  # steps of the two timed runs of bs-sae
ROWS = {
    'topk': {},
    'batchtopk': dict(select='batchtopk'),
    'layernorm': dict(layer_norm=1),
    'archetypal': dict(dictionary='archetypal', layer_norm=1),
}


class Ours:
    def __init__(self, args, o, work, math):
        self.work, self.math = work, math
        self.command = [args.sae, 'train', f'--init={work}/model.safetensors', '--recipe=topk', '--shuffle=0',
                        f'--batch={o["batch"]}', f'-k{o["k"]}', f'--select={o["select"]}',
                        f'--dictionary={o["dictionary"]}', f'--rate={o["rate"]}', f'--decay={o["decay"]}',
                        f'--clip={o["clip"]}', f'--metrics={work}/metrics.jsonl', f'--threads={args.threads}',
                        f'--math={math}', '-o', '/dev/null', f'{work}/x.safetensors']
        self.best, self.memory, self.tokens = float('inf'), 0, (MANY - FEW) * o['batch']

    def run(self, steps):
        start = time.perf_counter()
        with subprocess.Popen(self.command + [f'--steps={steps}']) as run:
            while run.poll() is None:
                with open(f'/proc/{run.pid}/status') as status:
                    self.memory = max([self.memory] + [int(line.split()[1]) for line in status
                                                       if line.startswith('VmHWM')])
                time.sleep(0.02)
        assert run.returncode == 0
        return time.perf_counter() - start

    def round(self):
        few, many = self.run(FEW), self.run(MANY)
        self.best = min(self.best, many - few)
        with open(f'{self.work}/metrics.jsonl') as log:
            self.loss = json.loads(log.readlines()[-1])['loss']

    def rate(self):
        return self.tokens / self.best


class Peer:
    def __init__(self, o, model, x):
        self.model, self.batches = model.sae, list(x.split(o['batch']))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=o['rate'], weight_decay=o['decay'])
        self.best, self.loss, self.clip, self.losses = float('inf'), None, o['clip'], []

    def criterion(self, x, y, pre, z, dictionary):
        loss = (x - y).square().mean()
        self.losses.append(loss)
        return loss

    def round(self):
        for batch in self.batches:
            start = time.perf_counter()
            train_sae(self.model, [batch], self.criterion, self.optimizer, nb_epochs=1, clip_grad=self.clip,
                      monitoring=0)
            self.best = min(self.best, time.perf_counter() - start)
        self.loss = self.loss if self.loss is not None else self.losses[-1].item()

    def rate(self):
        return len(self.batches[0]) / self.best


def row(args, name):
    o = case(**(dict(concepts=args.concepts, width=args.width, k=args.k, batch=args.batch, points=args.points,
                     rate=5e-4, rate_end=5e-4, decay=1e-5, delta=1.0, warmup=0) | ROWS[name]))
    model = build(o)
    x = tokens(o, MANY * o['batch']).half().float()
    with tempfile.TemporaryDirectory() as work:
        arrays = snapshot(model)
        write_model(f'{work}/model.safetensors', {n: a for n, a in arrays.items() if n != 'ra_m'},
                    model_meta(o, arrays))
        save_file({'x': x.numpy().astype(np.float16)}, f'{work}/x.safetensors')
        ours = [Ours(args, o, work, math) for math in args.math.split(',')]
        peer = Peer(o, model, x)
        for _ in range(args.rounds):
            for our in ours:
                our.round()
            peer.round()
    for our in ours:
        print(f'{name:11} bs-sae train {our.math:5}{our.rate():8.0f} tokens/s, {our.memory / 1024:6.0f} MiB, loss '
              f'{our.loss:.7g}   ratio {our.rate() / peer.rate():.2f}')
        assert our.math != 'f32' or abs(our.loss / peer.loss - 1) < 1e-5, 'not the same training'
    print(f'{name:11} overcomplete      {peer.rate():8.0f} tokens/s, {"":10} loss {peer.loss:.7g}', flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--concepts', type=int, default=32000)
    p.add_argument('--width', type=int, default=768)
    p.add_argument('--points', type=int, default=4096, help='candidates of the archetypal row')
    p.add_argument('--batch', type=int, default=4096)
    p.add_argument('-k', type=int, default=5)
    p.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument('--rounds', type=int, default=2)
    p.add_argument('--math', default='f32,bf16')
    p.add_argument('--rows', default='topk')
    p.add_argument('sae')
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    print(f'# {args.concepts} concepts of width {args.width}, k = {args.k}, batches of {args.batch}, '
          f'{args.threads} threads')
    for name in args.rows.split(','):
        row(args, name)


main()
