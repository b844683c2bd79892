"""Train a perceptron for narrow accumulators with Brevitas, export it as QONNX, and have snug check and run it.

    pip install -r requirements.txt
    python example.py --accumulator 9                           the 8 x 8 digits that scikit-learn brings
    python example.py --accumulator 9 --mnist FOLDER            MNIST: FOLDER holds the four IDX files (.gz or not)
    python example.py --accumulator 9 --method a2q+             Brevitas' own quantizers in the same place

Weights, activations and input have 4 bits. Quantized training starts from a float network, trained once and kept in the output
folder beside network.onnx. Exit 1 if an accumulator does not fit, or if snug counts other samples right than Brevitas.
"""

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from brevitas.export import export_qonnx
from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import Int8AccumulatorAwareWeightQuant as A2Q
from brevitas.quant import Int8AccumulatorAwareZeroCenterWeightQuant as A2QPlus
from brevitas.quant import Int8WeightPerChannelFloat, Uint8ActPerTensorFloat
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from sign_split import SignSplitWeightQuant

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "digits"))
from train import freeze, project  # noqa: E402  the digits example's: export of A2Q layers, and A2Q+'s EP-init

METHODS = {
    "sign-split": SignSplitWeightQuant, "a2q": A2Q, "a2q+": A2QPlus, "unconstrained": Int8WeightPerChannelFloat
}  # fmt: skip
BITS = 4  # of weights, activations and input


def perceptron(widths, quantizer=None, accumulator=None):
    """Linear, batch norm, ReLU and so on to the classes; floats without a quantizer. Both kinds share their parameters' names."""

    def linear(inputs, outputs, bias):
        if quantizer is None:
            return nn.Linear(inputs, outputs, bias)
        options = {"weight_accumulator_bit_width": accumulator} if quantizer is not METHODS["unconstrained"] else {}
        return QuantLinear(inputs, outputs, bias, weight_quant=quantizer, weight_bit_width=BITS, **options)

    # Values 0 to 1 become codes 0 to 15: a fixed scale, for there is nothing to learn about it.
    fixed = {"bit_width": BITS, "scaling_impl_type": "const", "scaling_init": 1.0, "return_quant_tensor": True}
    layers = [nn.Identity() if quantizer is None else QuantIdentity(Uint8ActPerTensorFloat, **fixed)]
    for inputs, outputs in zip(widths[:-2], widths[1:-1]):
        relu = nn.ReLU() if quantizer is None else QuantReLU(bit_width=BITS, return_quant_tensor=True)
        layers += [linear(inputs, outputs, False), nn.BatchNorm1d(outputs), relu]
    return nn.Sequential(*layers, linear(*widths[-2:], True))


def euclidean_start(model, method, accumulator):
    """EP-init of Brevitas' quantizers: without it they start far outside what they may be."""
    budget = {"a2q": (2 ** (accumulator - 1) - 1) / 2**BITS, "a2q+": (2**accumulator - 2) / (2**BITS - 1)}.get(method)
    for layer in model:
        if budget and isinstance(layer, QuantLinear):
            project(layer, budget, centred=method == "a2q+")


def train(model, x, y, epochs, batch, rate, name):
    steps = len(x) // batch
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(x))[: steps * batch].split(batch):
            loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"{name}, epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}", flush=True)


@torch.no_grad()
def right(model, x, y):
    model.eval()
    return sum((model(a).argmax(1) == b).sum().item() for a, b in zip(x.split(1000), y.split(1000)))


def digits(output):
    """Training and test set, values 0 to 1; the files of the test set for snug."""
    x, y = load_digits(return_X_y=True)
    split = train_test_split((x / 16).astype(np.float32), y, test_size=360, stratify=y, random_state=0)
    np.save(output / "test_inputs.npy", split[1])
    np.save(output / "test_labels.npy", split[3])
    return [torch.from_numpy(part) for part in split], output / "test_inputs.npy", output / "test_labels.npy"


def mnist(folder):
    def path(name):
        found = [folder / (name + end) for end in ("", ".gz") if (folder / (name + end)).exists()]
        return found[0] if found else sys.exit(f"{folder / name}: neither this file nor {name}.gz is there")

    def array(name, header):
        file = path(name)
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        return torch.frombuffer(bytearray(data[header:]), dtype=torch.uint8)

    sets = [array(f"{s}-images-idx3-ubyte", 16).view(-1, 784).float() / 255 for s in ("train", "t10k")]
    sets += [array(f"{s}-labels-idx1-ubyte", 8).long() for s in ("train", "t10k")]
    return sets, path("t10k-images-idx3-ubyte"), path("t10k-labels-idx1-ubyte")


def snug(program, *arguments):
    """snug's answer; the file that it refuses is no network to go on with."""
    run = subprocess.run([program, "--json", *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"snug {' '.join(map(str, arguments))}: exit {run.returncode}\n{run.stdout}{run.stderr}")
    return json.loads(run.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="MNIST instead of the digits")
    parser.add_argument("--accumulator", type=int, default=9, metavar="P", help="bits of every accumulator (9)")
    parser.add_argument("--method", choices=METHODS, default="sign-split")
    parser.add_argument("--epochs", type=int, help="of float and of quantized training (MNIST 8, digits 60)")
    parser.add_argument("--rate", type=float, help="learning rate of quantized training (0.004; 0.001 for the others)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--snug", default=shutil.which("snug"), help="the program (the one on PATH)")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "out", metavar="DIR")
    args = parser.parse_args()
    if not args.snug:
        parser.error("snug is not on PATH: make build, and --snug ../../target/release/snug")
    warnings.filterwarnings("ignore", category=UserWarning)  # torch's, about named tensors
    args.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)

    (x, test_x, y, test_y), inputs, labels = mnist(args.mnist) if args.mnist else digits(args.output)
    widths = [784, 64, 64, 64, 10] if args.mnist else [64, 32, 32, 10]
    epochs, batch = args.epochs or (8 if args.mnist else 60), 256 if args.mnist else 64

    float_model, kept = perceptron(widths), args.output / f"float-{widths[0]}-{epochs}-{args.seed}.pt"
    if kept.exists():
        float_model.load_state_dict(torch.load(kept))
    else:
        train(float_model, x, y, epochs, batch, 1e-3 if args.mnist else 3e-3, "floats")
        torch.save(float_model.state_dict(), kept)
    print(f"floats: {right(float_model, test_x, test_y)} of {len(test_y)} right")

    torch.manual_seed(args.seed)
    model = perceptron(widths, METHODS[args.method], args.accumulator)
    model.load_state_dict(float_model.state_dict(), strict=False)
    euclidean_start(model, args.method, args.accumulator)
    train(model, x, y, epochs, batch, args.rate or (4e-3 if args.method == "sign-split" else 1e-3), args.method)
    ours = right(model, test_x, test_y)

    freeze(model, test_x[:1])
    network = args.output / "network.onnx"
    export_qonnx(model, args=test_x[:1], export_path=str(network), external_data=False, optimize=True)
    target = [] if args.method == "unconstrained" else ["--accumulator", args.accumulator]
    snug(args.snug, "check", network, *target)
    layers = [layer for layer in snug(args.snug, "inspect", network)["layers"] if layer["accumulator"]]
    result = snug(args.snug, "simulate", network, "--inputs", inputs, "--labels", labels, "--engine", "golden")
    exact = "/".join(str(layer["accumulator"]["exact"]) for layer in layers)
    zeros = "/".join(f"{1 - w['nonzero'] / w['total']:.0%}" for w in (layer["weights"] for layer in layers))
    print(
        f"{args.method}, P = {args.accumulator}, seed {args.seed}: {result['correct']} of {result['samples']} right"
        f" ({result['correct'] / result['samples']:.2%}) in integers, {ours} in Brevitas; exact accumulators {exact}; zeros {zeros}"
    )
    if result["correct"] != ours:
        sys.exit("snug and Brevitas do not count the same samples right")


if __name__ == "__main__":
    main()
