"""Samples a second in training: snug beside Brevitas, on this machine, in one run.

    python benches/brevitas/speed.py [--rounds 5] [--steps 100] [--threads 2] [--methods a2q+,sign-split,unconstrained]

Both train 784-64-64-64-10 with 4-bit weights, activations and input in batches of 256: draw and gather a batch, forward, cross
entropy, backward, Adam with a cosine schedule; accumulators of 10 bits. Rounds of so many steps take turns, so that whatever else the
machine does falls on both. What each does before its first round is not counted: for Brevitas the 300 steps in
which its activation quantizers collect percentiles. Sign-split in PyTorch is the module of examples/brevitas. BREVITAS_JIT=1 compiles
Brevitas' modules.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "examples" / "brevitas"))
from example import METHODS, perceptron  # noqa: E402

BATCH, BITS, COLLECTED = 256, 10, 300


class Snug:
    """trainer/benches/speed.rs, which waits for a line before each of its rounds."""

    def __init__(self, method, steps, threads):
        command = [os.environ.get("CARGO", "cargo"), "bench", "--quiet", "-p", "trainer", "--bench", "speed", "--"]
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        command += [method, str(BITS), str(steps)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.child = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)
        self.seconds()  # warm-up

    def seconds(self):
        line = self.child.stdout.readline()
        if not line:
            sys.exit("snug's half ended early; its message is above")
        return tuple(map(float, line.split()))

    def round(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return self.seconds()

    def end(self):
        self.child.stdin.close()
        self.child.wait()


class Brevitas:
    def __init__(self, method, steps):
        self.model, self.steps = perceptron([784, 64, 64, 64, 10], METHODS[method], BITS), steps
        self.x = torch.randint(256, (steps * BATCH, 784)) / 255
        self.y = torch.arange(steps * BATCH) % 10
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 1_000_000)
        self.model.train()
        for _ in range(COLLECTED // steps + 1):
            self.round()

    def round(self):
        wall, cpu = time.perf_counter(), time.process_time()
        for chosen in torch.randperm(len(self.x)).split(BATCH):
            loss = nn.functional.cross_entropy(self.model(self.x[chosen]), self.y[chosen])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            loss.item()
        return time.perf_counter() - wall, time.process_time() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="of a round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--methods", default="a2q+,sign-split,unconstrained")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    torch.set_num_threads(args.threads)
    samples = args.steps * BATCH
    print(f"torch {torch.__version__}, {args.threads} threads, medians of {args.rounds} rounds of {args.steps} steps, BREVITAS_JIT={os.environ.get('BREVITAS_JIT', 0)}")
    print("| method | snug, samples/s | PyTorch | ratio | lowest, highest | snug, samples per CPU second | PyTorch | ratio |")
    print("|---|---:|---:|---:|---|---:|---:|---:|")
    for method in args.methods.split(","):
        snug, brevitas = Snug(method, args.steps, args.threads), Brevitas(method, args.steps)
        rounds = [(snug.round(), brevitas.round()) for _ in range(args.rounds)]
        snug.end()
        ratios = [b[0] / s[0] for s, b in rounds]
        wall, cpu = ([[r[side][kind] for r in rounds] for side in (0, 1)] for kind in (0, 1))
        rate = [[samples / statistics.median(side) for side in kind] for kind in (wall, cpu)]
        print(
            f"| {method} | {rate[0][0]:,.0f} | {rate[0][1]:,.0f} | {statistics.median(ratios):.2f} | {min(ratios):.2f}, {max(ratios):.2f} "
            f"| {rate[1][0]:,.0f} | {rate[1][1]:,.0f} | {rate[1][0] / rate[1][1]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
