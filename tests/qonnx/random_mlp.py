"""Random QONNX perceptrons with known outputs: the same seed gives the same networks.

    python random_mlp.py OUT [--count 200] [--seed 1] [--samples 24] [--max-size 40]

Every network is evaluated twice: by qonnx's own executor (float32) and by exact.py (rational numbers). Where their
codes differ, the difference must be explained by float32 error at a step of a quantizer (exact.py, `err`); anything
else stops the generator. README.md describes the files.
"""

import argparse
import json
import warnings
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

import exact
from network import Builder

DROPPED = {"Softmax", "LogSoftmax", "Sigmoid"}  # last nodes that keep the order of the outputs


def evaluate(built, sample_inputs, evaluation):
    """The exact evaluation of a network built for the whole batch."""
    if built.input_type is None:
        return evaluation(built.model, sample_inputs)
    # The pins carry codes; the value is code / divisor, and float32 only its neighbour.
    values = exact.fractions(built.input_codes) / Fraction(built.divisor)
    scale = np.full((1,) * values.ndim, Fraction(1, built.divisor), dtype=object)
    err = exact.EPS * np.abs(exact.floats(values))
    return evaluation(built.model, exact.Value(values, err, built.input_codes, scale))


def executed(built, sample_inputs):
    """All tensors as qonnx computes them, float32."""
    model = onnx.ModelProto.FromString(built.model.SerializeToString())
    for node in model.graph.node:
        if node.op_type in ("Quant", "IntQuant", "BipolarQuant", "Trunc"):
            node.domain = "qonnx.custom_op.general"  # the executor does not know all names of this domain
            for a in node.attribute:
                if a.s.upper() == b"ROUND_TO_ZERO":  # nor this name of DOWN
                    a.s = b"DOWN"
    # Trunc has two versions, of the operator set that a file names.
    others = [o for o in model.opset_import if o.domain != "qonnx.custom_op.general"]
    del model.opset_import[:]
    model.opset_import.extend(others + [onnx.helper.make_opsetid("qonnx.custom_op.general", built.trunc)])
    wrapper = ModelWrapper(model)
    for name, shape in built.shapes.items():
        if wrapper.get_tensor_shape(name) is None:
            kind = onnx.TensorProto.INT64 if name in built.integers else onnx.TensorProto.FLOAT
            wrapper.set_tensor_shape(name, list(shape), kind)
    return execute_onnx(wrapper, {built.input_name: sample_inputs}, return_full_exec_context=True)


def float_codes(value, tensor):
    """Codes behind float32 values of a quantized tensor."""
    scale = exact.floats(np.asarray(tensor.scale, dtype=object))
    codes = np.rint(value.astype(np.float64) / scale).astype(np.int64)
    assert np.allclose(codes * scale, value, rtol=1e-5, atol=0), "not a code"
    return codes


def compare(evaluation, context, name):
    """Per sample: 0 all codes equal, 1 differs and explained. Raises where a difference has no explanation."""
    verdict = np.zeros(len(next(iter(evaluation.intervals.values()))[0]) if evaluation.intervals else 0, dtype=np.int64)
    for tensor in evaluation.quantized:
        value = evaluation.tensors[tensor]
        got = float_codes(context[tensor], value)
        low, high = evaluation.intervals[tensor]
        equal = (got == value.codes).reshape(len(got), -1)
        fine = ((low <= got) & (got <= high)).reshape(len(got), -1)
        # A sample that differed further up may be anything from there on.
        wrong = (verdict == 0) & ~(equal | fine).all(1)
        if wrong.any():
            raise AssertionError(f"{name}: {tensor}: sample {np.flatnonzero(wrong)[0]}: unexplained difference")
        verdict |= (~equal.all(1)).astype(np.int64)
    return verdict


def generate(out, name, build, evaluation=exact.Evaluation):
    """Write the network that `build(file_batch=None or 1)` builds; returns its line of the manifest."""
    whole = build()
    inputs, samples = whole.inputs, whole.samples
    evaluation = evaluate(whole, inputs, evaluation)
    context = executed(whole, inputs)
    for tensor, value in evaluation.tensors.items():  # weights must not hang on a float32 division
        if isinstance(value, exact.Value) and value.codes is not None and tensor not in evaluation.variable:
            assert (float_codes(context[tensor], value) == value.codes).all(), f"{name}: {tensor}"
    verdict = compare(evaluation, context, name)

    single = build(file_batch=1)
    for one, many in zip(single.model.graph.initializer, whole.model.graph.initializer):
        assert one == many or "shape" in one.name  # the same network but for its batch dimension
    onnx.save(single.model, out / f"{name}.onnx")
    last = single.model.graph.node[-1]
    output = last.input[0] if last.op_type in DROPPED else last.output[0]
    result = evaluation.tensors[output]
    def flat(array, tensor):
        """One row for each sample, channels first."""
        return (np.moveaxis(array, -1, 1) if tensor in whole.last_tensors else array).reshape(samples, -1)

    outputs = flat(result.exact, output)
    close = np.abs(context[output].astype(np.float64) - exact.floats(result.exact)) <= result.err + 1e-30
    assert close.reshape(samples, -1)[verdict == 0].all(), f"{name}: logits"
    labels = [max(range(len(row)), key=lambda c: (row[c], -c)) for row in outputs]
    codes = [flat(evaluation.tensors[t].codes, t) for t in evaluation.quantized]

    given = (whole.input_codes, np.int32) if single.input_type else (inputs, np.float32)
    given = (np.moveaxis(given[0], -1, 1), given[1]) if single.input_name in whole.last_tensors else given
    np.save(out / f"{name}.inputs.npy", given[0].astype(given[1]))
    np.save(out / f"{name}.exact.npy", exact.floats(outputs))
    np.save(out / f"{name}.qonnx.npy", flat(context[output], output).astype(np.float32))
    np.save(out / f"{name}.codes.npy", np.concatenate(codes, 1).astype(np.int32) if codes
            else np.zeros((samples, 0), np.int32))  # fmt: skip
    return {
        "name": name,
        "file": f"{name}.onnx",
        "tags": sorted(single.tags),
        "input_type": single.input_type,
        "input_shape": list(single.shapes[single.input_name]),
        "samples": samples,
        "output": output,
        "outputs": outputs.shape[1],
        "labels": labels,
        "quantized": [{"tensor": t, "elements": int(c.shape[1])} for t, c in zip(evaluation.quantized, codes)],
        "weights": single.weight_shapes,
        "convolutions": single.conv_shapes,
        "ties": evaluation.ties,
        "explained_samples": np.flatnonzero(verdict).tolist(),
    }


def arguments(description, **defaults):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    for name, value in defaults.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    onnxruntime.set_default_logger_severity(3)  # errors alone
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def write(out, networks, **settings):
    """The manifest, and a summary; returns how many networks have each tag."""
    manifest = {"schema": 1, **settings, "networks": networks}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    tags = {t: sum(t in n["tags"] for n in networks) for t in sorted({t for n in networks for t in n["tags"]})}
    print(f"{len(networks)} networks, {sum(n['samples'] for n in networks)} samples, "
          f"{sum(n['ties'] for n in networks)} activations on a tie or step; "
          f"float32 differs, explained, in {sum(len(n['explained_samples']) for n in networks)} samples "
          f"of {sum(bool(n['explained_samples']) for n in networks)} networks")  # fmt: skip
    print(", ".join(f"{t} {n}" for t, n in tags.items()))
    return tags


def main():
    args = arguments(__doc__, count=200, seed=1, samples=24, max_size=40)

    def build(index, file_batch=None):
        return Builder(np.random.default_rng([args.seed, index]), args.samples, args.max_size, file_batch).build()

    networks = [generate(args.out, f"net{i:03}", partial(build, i)) for i in range(args.count)]
    write(args.out, networks, seed=args.seed, max_size=args.max_size)


if __name__ == "__main__":
    main()
