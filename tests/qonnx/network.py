"""Builds one random QONNX perceptron, in the many dialects in which exporters write them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MODES = ["CEIL", "FLOOR", "UP", "DOWN", "ROUND_TO_ZERO", "HALF_UP", "HALF_DOWN", "HALF_EVEN", "round", "Floor"]
DOMAINS = ["onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general", ""]


class Builder:
    """Grows a graph node by node, and runs it in float64 beside, so that every scale suits its data.

    `samples` is the number of inputs, and the batch dimension; `file_batch` overrides the latter in what is written.
    Every random draw is made whatever the batch: two builders with equal generators build the same network.
    """

    kind = "random_mlp"

    def __init__(self, rng, samples, max_size, file_batch=None):
        self.rng, self.samples, self.max_size = rng, samples, max_size
        self.batch = file_batch or samples
        self.nodes, self.initializers, self.shapes = [], [], {}
        self.tags, self.weight_shapes = set(), []
        self.counts = {}
        self.integers = set()  # tensors of int64
        self.last_tensors = set()  # tensors whose channels are last
        self.conv_shapes, self.trunc = [], 1
        self.input_type = self.divisor = self.input_codes = self.inputs = None
        self.domain = DOMAINS[rng.integers(4)]
        self.opset = int(rng.integers(9, 21))
        self.as_constants = rng.random() < 0.2  # Constant nodes in the place of initializers
        self.ties = rng.random() < 0.5  # powers of two everywhere: activations land on ties
        self.tag("domain:" + (self.domain or "none"), f"opset:{self.opset}")
        self.tag_if(self.ties, "ties")

    # Small things

    def tag(self, *names):
        self.tags.update(names)

    def tag_if(self, condition, name):
        if condition:
            self.tags.add(name)
        return condition

    def chance(self, p, name=None):
        """True with probability p; tags the network with `name` then."""
        hit = bool(self.rng.random() < p)
        if hit and name:
            self.tag(name)
        return hit

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def fresh(self, stem):
        self.counts[stem] = self.counts.get(stem, -1) + 1
        return f"{stem}_{self.counts[stem]}"

    def constant(self, name, array):
        array = np.asarray(array)
        self.shapes[name] = array.shape
        if array.dtype == np.int64:
            self.integers.add(name)
        if self.as_constants:
            self.tag("constant_nodes")
            node = helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array, name + "_value"))
            self.nodes.append(node)
        elif array.dtype == np.float32 and self.counts.get("Quant", 0) % 2:  # float_data in the place of raw_data
            tensor = helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.reshape(-1).tolist())
            self.initializers.append(tensor)
        else:
            self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def floats(self, name, values):
        return self.constant(name, np.asarray(values, dtype=np.float32))

    def node(self, op, inputs, shape, domain="", **attrs):
        name = self.fresh(op)
        out = f"{name}_out"
        self.nodes.append(helper.make_node(op, inputs, [out], name=name, domain=domain, **attrs))
        self.shapes[out] = tuple(shape)
        if op in ("Shape", "Gather", "Unsqueeze") or (op == "Concat" and inputs[0] in self.integers):
            self.integers.add(out)
        return out

    def around(self, value):
        """A scale near `value`: a power of two where ties are wanted."""
        value = float(value) * self.rng.uniform(0.7, 1.4)
        return np.float32(2.0 ** np.round(np.log2(value)) if self.ties else value)

    # Quantizers

    def mode(self, p):
        """Attributes that give a rounding mode: ROUND mostly, another with probability p, or none (which is ROUND)."""
        if self.chance(0.2, "mode:missing"):
            return {}
        if not self.chance(2 * p if self.ties else p):  # modes differ on ties above all
            return {"rounding_mode": "ROUND"}
        name = self.pick(*MODES)
        self.tag("mode:" + name.upper())
        return {"rounding_mode": name}

    def quant(self, x, shape, stem, scale, bits, signed, narrow, mode, weight=False):
        """A Quant, IntQuant or BipolarQuant node; `scale` scalar or array. Returns its output's name."""
        scale = self.floats(stem + ".scale", scale)
        if signed and bits == 1 and self.chance(0.5, "BipolarQuant"):
            return self.node("BipolarQuant", [x, scale], shape, self.domain)
        self.tag_if(signed and bits == 1, "bipolar_weights" if weight else "bipolar_activations")
        self.tag_if(narrow, "narrow_signed" if signed else "narrow_unsigned")
        zero = self.floats(stem + ".zero_point", 0.0)
        width = self.floats(stem + ".bit_width", float(bits))
        op = "IntQuant" if self.chance(0.15, "IntQuant") else "Quant"
        return self.node(op, [x, scale, zero, width], shape, self.domain, signed=int(signed), narrow=int(narrow), **mode)

    def activation_type(self):
        """(bits, signed, narrow) of an activation."""
        kind = self.rng.random()
        if kind < 0.1:
            return 1, True, False
        bits = int(self.rng.integers(1, 9)) if kind < 0.3 else int(self.rng.integers(2, 6))
        signed = bool(self.rng.random() < 0.45) and bits > 1
        return bits, signed, bool(bits > 1 and self.rng.random() < 0.25)

    def activate(self, x, h, stem):
        """An activation quantizer with a scale that suits `h` (float64, [samples, n])."""
        bits, signed, narrow = self.activation_type()
        levels = max(1, 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow)
        spread = np.abs(h).max() if h.size else 1.0
        scale = self.around(max(spread, 1e-3) * self.rng.uniform(0.5, 1.1) / levels)
        out = self.quant(x, self.shapes[x], stem, scale, bits, signed, narrow, self.mode(0.25))
        codes = h / np.float64(scale)
        if signed and bits == 1:
            codes = np.where(codes >= 0, 1.0, -1.0)
        else:
            low = -(2 ** (bits - 1)) + narrow if signed else 0
            codes = np.clip(np.rint(codes), low, 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow)
        return out, codes * np.float64(scale), (scale, bits, signed)

    # The input

    def begin(self):
        """The input, what stands before the first quantizer, and the samples."""
        n = int(self.rng.integers(1, self.max_size + 1))
        shape, old = (n,), None
        if self.chance(0.35, "input_4d"):
            rows = max(d for d in range(1, n + 1) if n % d == 0 and d * d <= n)
            shape = (1, rows, n // rows)
            old = self.pick("Flatten", "Reshape", "chain")
        return self.source(shape, (n,), old)

    def source(self, shape, seen, old):
        """An input of `shape`, quantized; returned as an array of shape `seen` per sample, `old` tells how it is flattened."""
        rng, n = self.rng, int(np.prod(shape))
        self.input_name = self.pick("input", "global_in", "x", "0")
        self.shapes[self.input_name] = (self.batch,) + shape
        x = self.input_name
        if self.chance(0.3):  # no quantizer at the input, or bytes in front of one
            bits, signed = int(rng.integers(2, 9)), bool(rng.random() < 0.5)
            self.divisor = int(self.pick(1, 4, 16, 255, 100))
            self.input_type = f"{'s' if signed else 'u'}{bits}/{self.divisor}"
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
            self.input_codes = rng.integers(low, high + 1, (self.samples,) + shape)
            self.input_codes[0], self.input_codes[-1] = low, high
            self.inputs = (self.input_codes / self.divisor).astype(np.float32)
            h = (self.input_codes / self.divisor).reshape((self.samples,) + seen)
            first = self.chance(0.4)
            self.tag("input_type", "input_type_and_quant" if first else "no_first_quant")
            if not first:
                return self.flatten(x, n, old), h
            bits, signed, narrow = self.activation_type()
            unit = self.around(max(np.abs(h).max(), 1e-3) / max(1, 2**bits - 1 if not signed else 2 ** (bits - 1) - 1))
        else:
            bits, signed, narrow = self.activation_type()
            unit = self.around(rng.uniform(0.05, 2.0))
        gain, offset = 1.0, 0.0  # preprocessing: value -> (value - offset) * gain
        early = old and self.chance(0.5)
        if early:
            x, old = self.flatten(x, n, old), None
        if self.chance(0.3, "preprocessing"):
            shape_now = self.shapes[x]
            if self.chance(0.6):
                offset = float(self.around(0.3))
                x = self.node("Sub", [x, self.floats("mean", offset)], shape_now)
            if self.chance(0.6):
                gain = float(self.around(2.0)) * (-1 if self.chance(0.2, "negative_preprocessing") else 1)
                x = self.node("Mul", [x, self.floats("gain", gain)], shape_now)
            elif self.chance(0.4):
                gain = float(self.around(1.5))
                x = self.node("Div", [x, self.floats("std", gain)], shape_now)
                gain = 1.0 / gain
        if self.input_type is None:
            low = -(2 ** (bits - 1)) if signed else 0
            high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
            codes = rng.uniform(low - 1.5, high + 1.5, (self.samples, n))
            on_ties = rng.random((self.samples, n)) < 0.4
            if not self.ties:  # here a tie is one in float32 only: most samples do without
                on_ties[self.samples // 4 :] = False
            codes = np.where(on_ties, np.floor(codes) + self.pick(0.5, 0.0), codes)
            self.inputs = (codes * np.float64(unit) / gain + offset).astype(np.float32)
            self.inputs = self.inputs.reshape((self.samples,) + shape)
        h = (self.inputs.astype(np.float64).reshape((self.samples,) + seen) - offset) * gain
        x = self.quant(x, self.shapes[x], "quant_in", unit, bits, signed, narrow, self.mode(0.25))
        self.tag_if(bits > 1, f"input:{'s' if signed else 'u'}{bits}")
        low = -(2 ** (bits - 1)) + narrow if signed else 0
        codes = np.clip(np.rint(h / unit), low, 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow)
        codes = np.where(h >= 0, 1.0, -1.0) if signed and bits == 1 else codes
        return self.flatten(x, n, old), codes * np.float64(unit)

    def flatten(self, x, n, how):
        """[batch, 1, r, c] to [batch, n], as old and new exporters write it."""
        if how is None:
            return x
        self.tag("flatten:" + how)
        shape = (self.batch, n)
        if how == "Flatten":
            return self.node("Flatten", [x], shape, axis=1)
        if how == "Reshape":
            target = self.constant("flat_shape", np.array([self.batch, self.pick(n, -1)], dtype=np.int64))
            return self.node("Reshape", [x, target], shape)
        size = self.node("Shape", [x], (len(self.shapes[x]),))
        count = self.node("Gather", [size, self.constant("zero", np.array(0, dtype=np.int64))], (), axis=0)
        if self.opset < 13:
            count = self.node("Unsqueeze", [count], (1,), axes=[0])
        else:
            count = self.node("Unsqueeze", [count, self.constant("axes", np.array([0], dtype=np.int64))], (1,))
        rest = self.constant("rest", np.array([-1], dtype=np.int64))
        target = self.node("Concat", [count, rest], (2,), axis=0)
        return self.node("Reshape", [x, target], shape)

    # Layers

    def weights(self, rows, cols):
        """Float latents [rows, cols], their scale (scalar or [rows, 1]), type and rounding mode."""
        rng = self.rng
        bipolar = rng.random() < 0.15
        bits = 1 if bipolar else int(rng.integers(2, 9)) if rng.random() < 0.3 else int(rng.integers(2, 5))
        signed = bipolar or not self.chance(0.05, "unsigned_weights")
        narrow = bool(not bipolar and rng.random() < 0.4)
        per_channel = self.chance(0.4, "per_channel_scale")
        scale = np.array([[self.around(0.1)] for _ in range(rows)]) if per_channel else self.around(0.1)
        low = -(2 ** (bits - 1)) + narrow if signed else 0
        high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
        if bipolar:
            codes = rng.choice([-1, 1], (rows, cols)).astype(float)
        else:
            codes = rng.integers(low, high + 1, (rows, cols)).astype(float)
            if self.chance(0.4, "sparse"):
                codes[rng.random((rows, cols)) < 0.6] = 0
            for row in range(rows):
                if self.chance(0.06, "zero_row"):
                    codes[row] = 0
        # A weight on a step of its quantizer is another weight in float32, and with it the whole network: latents
        # stay clear of steps, unless powers of two make float32 exact.
        mode = self.mode(0.15)
        directed = mode.get("rounding_mode", "ROUND").upper() in ("CEIL", "FLOOR", "UP", "DOWN", "ROUND_TO_ZERO")
        off = rng.uniform(0.05, 0.45, codes.shape) * rng.choice([-1, 1], codes.shape)
        latent = codes + off if directed or self.chance(0.3) else codes
        if not bipolar and self.ties and self.chance(0.3, "weight_ties"):
            latent = latent.round() + self.pick(0.5, -0.5)
        return (latent * scale).astype(np.float32), scale, bits, signed, narrow, mode

    def dense(self, x, h, rows, stem):
        cols = h.shape[1]
        latent, scale, bits, signed, narrow, mode = self.weights(rows, cols)
        self.weight_shapes.append([rows, cols])
        style = self.pick("Gemm_transB", "Gemm", "MatMul", "MatMul_Transpose")
        self.tag(style)
        if style in ("Gemm", "MatMul"):
            latent = np.ascontiguousarray(latent.T)
            scale = scale.T if np.ndim(scale) else scale
        w = self.floats(stem + ".weight", latent)
        q = self.quant(w, latent.shape, stem + ".weight_quant", scale, bits, signed, narrow, mode, weight=True)
        values = self.weight_values(latent, np.float64(scale), bits, signed, narrow)
        values = values if style in ("Gemm", "MatMul") else values.T
        h = h @ values
        shape = (self.batch, rows)
        bias = self.bias(h) if self.chance(0.4, "bias") else None
        if style.startswith("MatMul"):
            if style == "MatMul_Transpose":
                q = self.node("Transpose", [q], latent.shape[::-1], perm=[1, 0])
            y = self.node("MatMul", [x, q], shape)
            if bias is not None:
                b = self.bias_tensor(stem, bias.reshape((1, -1)) if self.chance(0.2) else bias)
                y = self.node("Add", [y, b] if self.chance(0.7) else [b, y], shape)
        else:
            attrs = {"transB": 1} if style == "Gemm_transB" else {}
            if self.chance(0.08, "gemm_alpha_beta"):
                attrs |= {"alpha": 0.5, "beta": 2.0}
                h = h * 0.5
                bias = None if bias is None else bias / 2
            b = [] if bias is None and self.opset >= 11 else [self.bias_tensor(stem, np.zeros(rows) if bias is None else bias)]
            y = self.node("Gemm", [x, q] + b, shape, **attrs)
            bias = None if bias is None else bias * attrs.get("beta", 1.0)
        return y, h if bias is None else h + bias

    def bias(self, h):
        spread = max(float(np.abs(h).max()), 1e-3)
        bias = self.rng.normal(0, 0.3 * spread, h.shape[1])
        unit = 2.0 ** np.floor(np.log2(spread / 16)) if self.ties else 2.0**-30
        return np.float32(np.round(bias / unit) * unit).astype(np.float64)

    def bias_tensor(self, stem, bias):
        return self.floats(stem + ".bias", bias)

    @staticmethod
    def weight_values(latent, scale, bits, signed, narrow):
        """About what the quantizer yields (its rounding mode is left out: this only guides the choice of scales)."""
        codes = latent / scale
        if signed and bits == 1:
            return np.where(codes >= 0, 1.0, -1.0) * scale
        low = -(2 ** (bits - 1)) + narrow if signed else 0
        return np.clip(np.rint(codes), low, 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow) * scale

    def norm(self, x, h, stem):
        """BatchNormalization, also with negative, zero and denormal gains."""
        n, over = h.shape[1], (0,) + tuple(range(2, h.ndim))
        mean = h.mean(over) + self.rng.normal(0, 0.2, n) * (h.std(over) + 1e-3)
        var = h.var(over) * self.rng.uniform(0.5, 2.0, n) + 1e-4
        gain, bias = self.rng.uniform(0.3, 2.0, n), self.rng.normal(0, 0.5, n)
        eps = {"epsilon": 1e-5} if self.chance(0.7) else {}
        if self.ties:  # rational roots: the exact meaning has ties too
            unit = 2.0 ** np.floor(np.log2(np.abs(h).max() / 16 + 1e-3))
            mean, bias = np.round(mean / unit) * unit, np.round(bias * 4) / 4
            var, gain = 4.0 ** np.round(np.log2(var) / 2), 2.0 ** np.round(np.log2(gain))
            eps = {"epsilon": 0.0}
        for c in range(n):
            if self.chance(0.15, "negative_gain"):
                gain[c] = -gain[c]
            if self.chance(0.04, "tiny_gain"):
                gain[c] = self.pick(0.0, 1e-41, -1e-39, 1e-20)
        mean, var, gain, bias = (np.float32(v) for v in (mean, var, gain, bias))
        names = [self.floats(f"{stem}.{p}", v) for p, v in
                 (("weight", gain), ("bias", bias), ("running_mean", mean), ("running_var", var))]  # fmt: skip
        y = self.node("BatchNormalization", [x] + names, self.shapes[x], **eps)
        self.tag("BatchNormalization")
        root = np.sqrt(var.astype(np.float64) + eps.get("epsilon", 1e-5))
        mean, root, gain, bias = (self.per_channel(v, h) for v in (mean, root, gain, bias))
        return y, (h - mean) / root * gain + bias

    @staticmethod
    def per_channel(values, h):
        """One number for each channel (or for all) in a shape that broadcasts to `h`."""
        return np.reshape(values, (1, -1) + (1,) * (h.ndim - 2))

    def parameter(self, values, h):
        """The same in a shape in which a file may hold it."""
        return values

    def function(self, x, h):
        """A monotone function in front of a quantizer."""
        shape = self.shapes[x]
        kind = self.pick(None, "Relu", "Relu", "LeakyRelu", "Tanh", "Sigmoid", "Clip", "Mul", "Sub", "Div", "Identity")
        if kind is None:
            return x, h
        self.tag(kind)
        n = h.shape[1]
        if kind == "Relu":
            return self.node("Relu", [x], shape), np.maximum(h, 0)
        if kind == "LeakyRelu":
            alpha = {"alpha": float(self.around(0.1))} if self.chance(0.7) else {}
            return self.node("LeakyRelu", [x], shape, **alpha), np.where(h < 0, alpha.get("alpha", 0.01) * h, h)
        if kind == "Tanh":
            return self.node("Tanh", [x], shape), np.tanh(h)
        if kind == "Sigmoid":
            return self.node("Sigmoid", [x], shape), 1 / (1 + np.exp(-np.clip(h, -50, 50)))
        if kind == "Identity":
            return self.node("Identity", [x], shape), h
        if kind == "Clip":
            high = float(self.around(max(np.abs(h).max(), 1e-3) / 2))
            low = float(self.pick(0.0, -high))
            if self.opset < 11:
                return self.node("Clip", [x], shape, min=low, max=high), np.clip(h, low, high)
            stem = self.fresh("clip")
            bounds = [self.floats(stem + ".min", low), self.floats(stem + ".max", high)]
            return self.node("Clip", [x] + bounds, shape), np.clip(h, low, high)
        values = np.array([self.around(max(np.abs(h).max(), 1e-3) / 4 if kind == "Sub" else 1.0) for _ in range(n)])
        values = values if self.chance(0.5) else values[:1]
        if kind != "Sub" and self.chance(0.3, "negative_mul"):
            values = values * self.rng.choice([-1.0, 1.0], values.shape)
        values = np.float32(values)
        name = self.fresh(kind.lower()) + ".value"
        y = self.node(kind, [x, self.floats(name, self.parameter(values, h))], shape)
        values = self.per_channel(values.astype(np.float64), h)
        return y, {"Mul": h * values, "Sub": h - values, "Div": h / values}[kind]

    def build(self):
        x, h = self.begin()
        depth = int(self.rng.integers(1, 5))
        self.tag(f"layers:{depth}")
        prefix = self.pick("fc", "features.", "model.layers.", "classifier.dense")
        for i in range(depth):
            last = i == depth - 1
            stem = f"{prefix}{i}"
            rows = int(self.rng.integers(1, min(self.max_size, 12 if last else 40) + 1))
            x, h = self.dense(x, h, rows, stem)
            if self.chance(0.25 if last else 0.5):
                x, h = self.norm(x, h, f"{stem}.norm")
            if last and not self.chance(0.25, "final_quant"):
                break
            x, h = self.function(x, h)
            x, h, _ = self.activate(x, h, f"{stem}.act")
            if not last and self.chance(0.05, "double_quant"):
                x, h, _ = self.activate(x, h, f"{stem}.again")
        if "final_quant" not in self.tags and self.chance(0.25):
            op = self.pick("Softmax", "LogSoftmax", "Sigmoid")
            self.tag("final:" + op)
            x = self.node(op, [x], self.shapes[x], **({} if op == "Sigmoid" else {"axis": 1}))
        self.model = self.finish(x)
        return self

    def finish(self, output):
        def info(name):
            kind = TensorProto.INT64 if name in self.integers else TensorProto.FLOAT
            return helper.make_tensor_value_info(name, kind, self.shapes[name])

        inputs = [info(self.input_name)]
        constants = {t.name: t for t in self.initializers}
        if self.opset < 12 and self.chance(0.5, "initializers_as_inputs"):
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in self.initializers]
        graph = helper.make_graph(self.nodes, self.kind, inputs, [info(output)], list(constants.values()))
        if self.chance(0.5, "value_info"):
            names = [n.output[0] for n in self.nodes if n.op_type != "Constant" and n.output[0] != output]
            graph.value_info.extend(info(n) for n in names)
        opsets = [helper.make_opsetid("", self.opset)]
        if self.domain:
            opsets.append(helper.make_opsetid(self.domain, self.pick(1, 2)))
        used = {n.domain for n in self.nodes} - {"", self.domain}
        opsets += [helper.make_opsetid(domain, self.opset) for domain in sorted(used)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name=self.kind)
        model.ir_version = 4 if self.opset < 11 else 8
        return model
