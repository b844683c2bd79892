"""Tests of sign_split.py: against exhaustive search, against finite differences, and end to end through snug (`make brevitas`).

    python test.py SNUG
"""

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from brevitas.nn import QuantConv2d, QuantIdentity
from brevitas.quant import Uint8ActPerTensorFloat

from sign_split import SignSplitWeightQuant, budgets, sign_split, threshold

HERE = Path(__file__).resolve().parent


def reach(q, bits, signed):
    """The least and the largest accumulator, row by row."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    plus, minus = q.clamp(min=0).sum(-1), q.clamp(max=0).sum(-1)
    return low * plus + high * minus, high * plus + low * minus


def nearest_and_within():
    """Unsigned inputs: nothing nearer fits. Signed inputs: it fits, and is no more than a tenth further off on average."""
    torch.manual_seed(1)
    cap, bits = 3, 2
    every = torch.tensor(list(itertools.product(range(-cap, cap + 1), repeat=4)), dtype=torch.double)
    further, least = 0.0, 0.0
    for signed, accumulator in itertools.product((False, True), (3, 4, 5, 6)):
        low, high = reach(every, bits, signed)
        fitting = every[(low >= -(2 ** (accumulator - 1))) & (high < 2 ** (accumulator - 1))]
        for u in 3 * torch.randn(100, 1, 4, dtype=torch.double):
            q = sign_split(u, cap, bits, signed, accumulator).round()
            low, high = reach(q, bits, signed)
            assert low >= -(2 ** (accumulator - 1)) and high < 2 ** (accumulator - 1), (u, q, signed, accumulator)
            off, best = ((q - u) ** 2).sum().item(), ((fitting - u) ** 2).sum(1).min().item()
            assert off <= best + 1e-9 or signed, (u, q, accumulator)
            if signed:
                further, least = further + off - best, least + best
    assert further <= 0.1 * least, (further, least)
    print(f"codes: nearest for unsigned inputs; for signed ones {further / least:.1%} further off")


def wide_rows():
    """Rows as long as MNIST's, in float32, all zero and constant ones among them, wide weights and accumulators."""
    torch.manual_seed(2)
    u = torch.cat([2 * torch.randn(20, 784), torch.zeros(1, 784), torch.full((1, 784), 5.0), torch.full((1, 784), -0.5)])
    cases = itertools.product((2, 4, 8), (1, 4, 8), (False, True), range(4, 25))
    for weight_bits, bits, signed, accumulator in cases:
        q = sign_split(u, 2 ** (weight_bits - 1) - 1, bits, signed, accumulator).round().double()
        low, high = reach(q, bits, signed)
        fits = (low >= -(2 ** (accumulator - 1))) & (high < 2 ** (accumulator - 1))
        assert fits.all(), (weight_bits, bits, signed, accumulator)
        again = sign_split(q, 2 ** (weight_bits - 1) - 1, bits, signed, accumulator).round()
        assert (again == q).all(), "what fits must stay: export quantizes once more"
    print("codes: within the accumulator on long rows, and what fits stays")


def gradient():
    """The derivative of the projection, threshold included, by finite differences."""
    torch.manual_seed(3)
    u = (2 * torch.randn(5, 60, dtype=torch.double)).requires_grad_()
    plus, _ = budgets(u, 7, 4, False, 9)

    def smooth(u):
        return (u - threshold(u, 7, plus)).clamp(0, 7)

    assert (threshold(u, 7, plus) > 0).all(), "the budget must bind, or nothing is tested"
    assert torch.autograd.gradcheck(smooth, u, eps=1e-7, atol=1e-5)
    (slope,) = torch.autograd.grad(sign_split(u, 7, 4, False, 9).clamp(min=0).sum(), u)
    assert slope.sum(1).abs().max() < 1e-6, "the positive codes sum up to the budget whatever the weights do"
    print("gradient: that of the projection")


def convolution():
    layer = QuantConv2d(4, 6, 3, groups=2, bias=False, weight_quant=SignSplitWeightQuant,
                        weight_bit_width=4, weight_accumulator_bit_width=8)  # fmt: skip
    pixels = QuantIdentity(Uint8ActPerTensorFloat, bit_width=4, return_quant_tensor=True)
    x = pixels(torch.rand(1, 4, 8, 8))
    layer(x)
    low, high = reach(layer.quant_weight(x).int().flatten(1), 4, False)
    assert low.min() >= -128 and high.max() < 128 and high.max() > 60
    print("convolution: grouped, 8 bits")


def end_to_end(snug):
    with tempfile.TemporaryDirectory() as folder:
        for method, accumulator in (("sign-split", 8), ("a2q+", 10)):
            command = [sys.executable, HERE / "example.py", "--snug", snug, "--accumulator", accumulator, "--method", method]
            run = subprocess.run(list(map(str, [*command, "--epochs", 6, "-o", folder])), capture_output=True, text=True)
            assert run.returncode == 0, run.stdout + run.stderr
            print(run.stdout.splitlines()[-1])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    nearest_and_within()
    wide_rows()
    gradient()
    convolution()
    end_to_end(Path(sys.argv[1]).resolve())
