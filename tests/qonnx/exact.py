"""What a QONNX perceptron means: its nodes over the rational numbers, for tests.

Every float parameter is the rational that it is, Quant rounds as QONNX defines it. Square roots, tanh and sigmoid are
irrational: rationals far closer than any decision stand for them (2^-250; 2^-80 where tanh and sigmoid are flat), and
a decision closer than 2^-120 to such a value is refused. This file shares nothing with snug; it is slow and short on
purpose.

Beside every exact value runs `err`, a bound on how far float32 evaluation of the same nodes may be away from it
(running error analysis). So a float executor's code is *explained* where it lies between the codes of
exact - err and exact + err, and wrong otherwise.
"""

import math
from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np
from onnx import helper, numpy_helper

getcontext().prec = 130
EPS = 2.0**-24  # half a unit in the last place, relative
MARGIN = Fraction(1, 2**120)


class Undecided(Exception):
    """A decision closer to an irrational value than this evaluator can see."""


class Value:
    """A tensor: `exact` (object array of Fraction), `err` (float64), and `codes` with `scale` where it is quantized."""

    def __init__(self, exact, err=0.0, codes=None, scale=None, rational=True):
        self.exact = exact
        self.err = np.broadcast_to(np.asarray(err, dtype=np.float64), exact.shape)
        self.codes, self.scale = codes, scale  # exact == codes * scale, elementwise after broadcasting
        self.rational = rational  # False: approximations are among the values

    def moved(self, move):
        """The same values after a transposition or reshape."""
        codes = None if self.codes is None else move(self.codes)
        scale = None if codes is None else move(np.broadcast_to(self.scale, self.exact.shape))
        return Value(move(self.exact), move(self.err), codes, scale, self.rational)


def fractions(array):
    """An object array of Fractions from a float or integer array."""
    array = np.asarray(array)
    values = [Fraction(v) for v in array.astype(object).reshape(-1).tolist()]
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out.reshape(array.shape)


def each(function, *arrays):
    """Elementwise function on broadcast object arrays."""
    arrays = np.broadcast_arrays(*arrays)
    out = np.empty(arrays[0].size, dtype=object)
    out[:] = [function(*items) for items in zip(*(a.reshape(-1).tolist() for a in arrays))]
    return out.reshape(arrays[0].shape)


def floats(array):
    """Nearest float64 of each Fraction."""
    return each(float, array).astype(np.float64)


def representable(*arrays):
    """Where float32 holds all of these numbers (its exponent range apart): such a result of one operation is exact."""
    def fits(*values):
        return all(v.denominator & (v.denominator - 1) == 0 and
                   abs(v.numerator) // (v.numerator & -v.numerator or 1) < 2**24 for v in values)  # fmt: skip

    return each(fits, *arrays).astype(bool)


def rounded(err, exact, *steps):
    """`err` grown by one float32 rounding to `exact`; 0 where operands (`err` 0) and all `steps` are exact."""
    size = np.abs(floats(exact))
    return np.where((err == 0) & representable(exact, *steps), 0.0, err + EPS * size + 2.0**-149)


def sqrt(x):
    """Square root of a Fraction: exact where rational, else within 2^-250 relative."""
    p, q = x.numerator, x.denominator
    root = Fraction(math.isqrt(p), math.isqrt(q))
    if root * root == x:
        return root
    shift = 1 << (260 + q.bit_length())
    return Fraction(math.isqrt(p * q * shift * shift), q * shift)


def exp(x):
    return Fraction((Decimal(x.numerator) / Decimal(x.denominator)).exp())


HAIR = Fraction(1, 2**81)


def sigmoid(x):
    """Strictly between 0 and 1: past 60 any number within 2^-80 of the end stands for it, as no step lies between."""
    if abs(x) > 60:
        return 1 - HAIR if x > 0 else HAIR
    return 1 / (1 + exp(-x))


def tanh(x):
    """Strictly between -1 and 1, as above."""
    return 2 * sigmoid(2 * x) - 1


def sign(x):
    return (x > 0) - (x < 0)


ROUND = {
    "ROUND": round,  # Python rounds a Fraction half to even
    "HALF_EVEN": round,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
    "UP": lambda x: sign(x) * math.ceil(abs(x)),
    "DOWN": lambda x: sign(x) * math.floor(abs(x)),
    "ROUND_TO_ZERO": lambda x: sign(x) * math.floor(abs(x)),
    "HALF_UP": lambda x: sign(x) * math.floor(abs(x) + Fraction(1, 2)),
    "HALF_DOWN": lambda x: sign(x) * math.ceil(abs(x) - Fraction(1, 2)),
}


def quantizer(bits, signed, narrow, mode):
    """The function from x / scale to its code."""
    if signed and bits == 1:
        return lambda x: 1 if x >= 0 else -1
    low = -(2 ** (bits - 1)) + narrow if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    rounding = ROUND[mode.upper()]
    return lambda x: rounding(min(max(x, low), high))


class Evaluation:
    """All tensors of one run, and what happened at every quantizer of activations."""

    def __init__(self, model, inputs, constants=()):
        """`inputs`: a Value, or an array of the numbers that the network takes; the first axis is the batch."""
        self.tensors = {}  # name -> Value, or integer array (shapes)
        self.quantized = []  # names of quantized activations, in graph order
        self.intervals = {}  # name -> (lowest, highest) code that float32 may yield
        self.ties = 0  # activations that lay exactly on a rounding tie or step
        graph = model.graph
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        for t in graph.initializer:
            self.constant(t.name, numpy_helper.to_array(t))
        source = next(i.name for i in graph.input if i.name not in self.tensors)
        self.tensors[source] = inputs if isinstance(inputs, Value) else Value(fractions(inputs))
        self.variable = {source}  # tensors that depend on the input
        for node in graph.node:
            self.run(node)

    def constant(self, name, array):
        is_float = np.issubdtype(array.dtype, np.floating)
        self.tensors[name] = Value(fractions(array.astype(np.float64))) if is_float else array

    def run(self, node):
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        args = [self.tensors[name] if name else None for name in node.input]
        if node.op_type == "Constant":
            self.constant(node.output[0], numpy_helper.to_array(attrs["value"]))
            return
        name = node.output[0]
        if any(i in self.variable for i in node.input):
            self.variable.add(name)
        handler = getattr(self, "op_" + node.op_type.lower(), None)
        if handler is None:
            raise NotImplementedError(node.op_type)
        self.tensors[name] = self.call(handler, node, name, attrs, args)

    def call(self, handler, node, name, attrs, args):
        return handler(name, attrs, *args)

    # Quantizers

    def op_quant(self, name, attrs, x, scale, zero_point, bits):
        assert all(z == 0 for z in zero_point.exact.reshape(-1)), "zero point"
        mode = attrs.get("rounding_mode", b"ROUND").decode()
        function = quantizer(int(bits.exact.reshape(-1)[0]), attrs.get("signed", 1), attrs.get("narrow", 1), mode)
        return self.quantize(name, x, scale.exact, function)

    op_intquant = op_quant

    def op_bipolarquant(self, name, attrs, x, scale):
        return self.quantize(name, x, scale.exact, lambda x: 1 if x >= 0 else -1)

    def quantize(self, name, x, scale, function, step=None):
        """Codes `function(x / scale)`, which mean multiples of `step`, or of `scale`."""
        codes = each(lambda v, s: function(v / s), x.exact, scale).astype(np.int64)
        if not x.rational:
            nearby = each(lambda v, s: function(v / s - MARGIN) == function(v / s + MARGIN), x.exact, scale)
            # Exactly on a step is a rational coincidence (a zero times an irrational gain), not an undecided value.
            on_step = each(lambda v, s: (2 * v / s).denominator == 1, x.exact, scale)
            if not (nearby | on_step).all():
                raise Undecided(name)
        if name in self.variable:
            tiny = Fraction(1, 2**60)
            self.ties += int(
                each(lambda v, s: (2 * v / s).denominator == 1 and function(v / s - tiny) != function(v / s + tiny),
                     x.exact, scale).sum()
            )  # fmt: skip
            inside = each(lambda v, s: v / s, x.exact, scale)
            err = fractions(1.001 * rounded(x.err / floats(scale), inside))
            low = each(lambda v, e: function(v - e), inside, err).astype(np.int64)
            high = each(lambda v, e: function(v + e), inside, err).astype(np.int64)
            self.quantized.append(name)
            self.intervals[name] = (low, high)
        scale = scale if step is None else step
        exact = each(lambda c, s: c * s, codes, scale)
        return Value(exact, rounded(np.zeros(exact.shape), exact), codes, scale)

    # Linear layers

    def op_matmul(self, name, attrs, a, b):
        # Sum over k of |a||b| bounds every rounding in the sum; each operand brings its own error.
        size_a, size_b = np.abs(floats(a.exact)), np.abs(floats(b.exact))
        k = a.exact.shape[-1]
        err = size_a @ b.err + a.err @ size_b + a.err @ b.err + (k + 1) * EPS * (size_a @ size_b)
        if a.codes is not None and b.codes is not None:
            scale_a = np.broadcast_to(a.scale, a.exact.shape)[:, :1]
            scale_b = np.broadcast_to(b.scale, b.exact.shape)[:1, :]
            same_a = (np.broadcast_to(a.scale, a.exact.shape) == scale_a).all()
            same_b = (np.broadcast_to(b.scale, b.exact.shape) == scale_b).all()
            if same_a and same_b:
                exact = each(lambda n, s, t: int(n) * s * t, a.codes @ b.codes, scale_a, scale_b)
                # Products and all partial sums are small multiples of one power of two: no rounding at all.
                small = np.abs(a.codes) @ np.abs(b.codes) < 2**24
                dyadic = each(lambda s, t: (s * t).numerator == 1 and representable(s * t), scale_a, scale_b)
                clean = (a.err == 0).all(-1)[:, None] & (b.err == 0).all(0)[None, :]
                err = np.where(small & clean & dyadic.astype(bool), 0.0, err)
                return Value(exact, err)
        return Value(a.exact @ b.exact, err, rational=a.rational and b.rational)

    def op_gemm(self, name, attrs, a, b, c=None):
        assert not attrs.get("transA", 0)
        if attrs.get("transB", 0):
            b = b.moved(np.transpose)
        y = self.op_matmul(name, {}, a, b)
        alpha, beta = Fraction(attrs.get("alpha", 1.0)), Fraction(attrs.get("beta", 1.0))
        if alpha != 1:
            y = self.op_mul(name, {}, y, Value(fractions([float(alpha)])))
        if c is not None:
            y = self.op_add(name, {}, y, c if beta == 1 else self.op_mul(name, {}, c, Value(fractions([float(beta)]))))
        return y

    # Elementwise

    def arithmetic(self, exact, err, *operands):
        return Value(exact, rounded(err, exact), rational=all(o.rational for o in operands))

    def op_add(self, name, attrs, a, b):
        return self.arithmetic(a.exact + b.exact, a.err + b.err, a, b)

    def op_sub(self, name, attrs, a, b):
        return self.arithmetic(a.exact - b.exact, a.err + b.err, a, b)

    def op_mul(self, name, attrs, a, b):
        err = np.abs(floats(a.exact)) * b.err + np.abs(floats(b.exact)) * a.err + a.err * b.err
        return self.arithmetic(a.exact * b.exact, err, a, b)

    def op_div(self, name, attrs, a, b):
        assert not np.any(b.err), "division by something computed"
        return self.arithmetic(a.exact / b.exact, a.err / np.abs(floats(b.exact)), a, b)

    def op_batchnormalization(self, name, attrs, x, gain, bias, mean, var):
        eps = Fraction(attrs.get("epsilon", float(np.float32(1e-5))))
        roots = each(lambda v: sqrt(v + eps), var.exact)
        rational = all(r * r == v + eps for r, v in zip(roots, var.exact))
        shape = (1, -1) + (1,) * (x.exact.ndim - 2)
        k = (gain.exact / roots).reshape(shape)
        mean, bias = mean.exact.reshape(shape), bias.exact.reshape(shape)
        exact = (x.exact - mean) * k + bias
        size = np.abs(floats(k)) * (np.abs(floats(x.exact)) + np.abs(floats(mean))) + np.abs(floats(bias))
        err = np.abs(floats(k)) * x.err + 8 * EPS * size + 2.0**-126  # denormals may be flushed
        # However an executor arranges it: no rounding where all of these are exact.
        steps = (k, mean * k, x.exact * k, bias - mean * k, x.exact - mean, exact)
        err = np.where((x.err == 0) & representable(*steps) & rational, 0.0, err)
        return Value(exact, err, rational=x.rational and rational)

    def op_relu(self, name, attrs, x):
        return Value(each(lambda v: max(v, Fraction(0)), x.exact), x.err, rational=x.rational)

    def op_leakyrelu(self, name, attrs, x):
        alpha = Fraction(attrs.get("alpha", float(np.float32(0.01))))
        return self.arithmetic(each(lambda v: v if v >= 0 else v * alpha, x.exact), x.err * max(1.0, float(alpha)), x)

    def op_clip(self, name, attrs, x, low=None, high=None):
        low = low.exact.item() if low is not None else Fraction(attrs["min"])
        high = high.exact.item() if high is not None else Fraction(attrs["max"])
        return Value(each(lambda v: min(max(v, low), high), x.exact), x.err, rational=x.rational)

    def op_sigmoid(self, name, attrs, x):
        return Value(each(sigmoid, x.exact), x.err / 4 + 4e-7, rational=False)

    def op_tanh(self, name, attrs, x):
        return Value(each(tanh, x.exact), x.err + 4e-7, rational=False)

    def op_softmax(self, name, attrs, x):
        return None  # only ever the last node, which changes no order: not evaluated

    op_logsoftmax = op_softmax

    # Shapes

    def op_identity(self, name, attrs, x):
        return x

    op_dropout = op_identity

    def op_flatten(self, name, attrs, x):
        return x.moved(lambda a: a.reshape(a.shape[0], -1))

    def op_reshape(self, name, attrs, x, shape):
        return x.moved(lambda a: a.reshape([int(s) for s in shape]))

    def op_transpose(self, name, attrs, x):
        return x.moved(lambda a: np.transpose(a, attrs.get("perm")))

    def op_shape(self, name, attrs, x):
        return np.array(x.exact.shape, dtype=np.int64)

    def op_gather(self, name, attrs, x, index):
        return np.take(x, index, axis=attrs.get("axis", 0))

    def op_unsqueeze(self, name, attrs, x, axes=None):
        for axis in attrs["axes"] if axes is None else axes:
            x = np.expand_dims(x, int(axis))
        return x

    def op_concat(self, name, attrs, *parts):
        return np.concatenate(parts, axis=attrs["axis"])
