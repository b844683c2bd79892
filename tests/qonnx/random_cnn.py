"""Random convolutional QONNX networks with known outputs: the same seed gives the same networks.

    python random_cnn.py OUT [--count 200] [--seed 1] [--samples 8] [--keep 0]

As random_mlp.py, with the operators of images.py. Stops with an error if the networks lack one of the features in
architecture.py's REQUIRED. `--keep N` writes the N smallest networks that together have as many of them as possible.
"""

from functools import partial

import numpy as np

from architecture import REQUIRED, WISHES, NetworkBuilder
from images import ImageEvaluation
from random_mlp import arguments, generate, write


def chosen(out, networks, count):
    """`count` of the networks, most features still missing first, small ones before large; the others' files go."""
    size = {n["name"]: sum(f.stat().st_size for f in out.glob(n["name"] + ".*")) for n in networks}
    kept, seen = [], set()
    while len(kept) < count:
        left = [n for n in networks if n not in kept]
        new = lambda n: set(n["tags"]) - seen  # noqa: E731
        best = max(left, key=lambda n: (len(new(n) & REQUIRED) * 20000 + len(new(n)) * 400 - size[n["name"]]))
        kept.append(best)
        seen |= set(best["tags"])
    for n in networks:
        if n not in kept:
            for file in out.glob(n["name"] + ".*"):
                file.unlink()
    return sorted(kept, key=lambda n: n["name"])


def main():
    args = arguments(__doc__, count=200, seed=1, samples=8, keep=0)

    def build(index, file_batch=None):
        rng = np.random.default_rng([args.seed, index])
        return NetworkBuilder(rng, args.samples, 0, file_batch, WISHES[index % len(WISHES)]).build()

    networks = [generate(args.out, f"cnn{i:03}", partial(build, i), ImageEvaluation) for i in range(args.count)]
    networks = chosen(args.out, networks, args.keep) if args.keep else networks
    tags = write(args.out, networks, seed=args.seed)
    missing = sorted(REQUIRED - tags.keys())
    if missing:
        raise SystemExit(f"no network has {', '.join(missing)}")


if __name__ == "__main__":
    main()
