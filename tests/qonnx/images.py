"""What the operators of convolutional networks mean, over the rational numbers: the rest of exact.py, for tests.

Images are `[samples, channels, places...]`, with one or two axes of places. Each operator follows ONNX's definition, or
qonnx's for its own.
"""

import math
from fractions import Fraction

import numpy as np

from exact import EPS, ROUND, Evaluation, Value, each, floats, quantizer, representable

CHANNELS_LAST = "qonnx.custom_op.channels_last"


def to_first(a):
    """Channels from the last axis to the second."""
    return np.moveaxis(a, -1, 1)


def to_last(a):
    return np.moveaxis(a, 1, -1)


class Window:
    """The window of a Conv or pooling node: sizes, and zeros around, for each axis of places."""

    def __init__(self, attrs, kernel, size, ceil=False):
        axes = range(len(size))
        self.kernel, self.size = [int(k) for k in kernel], list(size)
        self.stride = list(attrs.get("strides") or [1] * len(size))
        self.dilation = list(attrs.get("dilations") or [1] * len(size))
        pads = list(attrs.get("pads") or [0] * 2 * len(size))
        self.begin, self.end = pads[: len(size)], pads[len(size) :]
        span = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation)]
        mode = attrs.get("auto_pad", b"NOTSET").decode()
        if mode == "VALID":
            self.begin = self.end = [0] * len(size)
        elif mode.startswith("SAME"):
            places = [-(-n // s) for n, s in zip(size, self.stride)]
            total = [max(0, (p - 1) * s + k - n) for p, s, k, n in zip(places, self.stride, span, size)]
            less, more = [t // 2 for t in total], [t - t // 2 for t in total]
            self.begin, self.end = (less, more) if mode == "SAME_UPPER" else (more, less)
        self.places, self.beyond = [], []
        for a in axes:
            free = size[a] + self.begin[a] + self.end[a] - span[a]
            assert free >= 0, "kernel larger than the padded image"
            places = free // self.stride[a] + 1
            # With ceil_mode one window more, unless it begins behind the image and its zeros in front.
            if ceil and free % self.stride[a] and places * self.stride[a] < size[a] + self.begin[a]:
                places += 1
            self.places.append(places)
            last = (places - 1) * self.stride[a] + span[a] - self.begin[a] - size[a]
            self.beyond.append(max(last, self.end[a]))

    def read(self, array, fill):
        """`[samples, channels, places..., kernel...]`: what each window reads, `fill` outside the image."""
        axes = len(self.size)
        shape = array.shape[:2] + tuple(n + b + e for n, b, e in zip(self.size, self.begin, self.beyond))
        padded = np.full(shape, fill, dtype=array.dtype)
        inside = tuple(slice(b, b + n) for b, n in zip(self.begin, self.size))
        padded[(slice(None), slice(None)) + inside] = array
        grids = []
        for a in range(axes):
            at = np.arange(self.places[a])[:, None] * self.stride[a] + np.arange(self.kernel[a]) * self.dilation[a]
            grid = [1] * (2 * axes)
            grid[a], grid[axes + a] = at.shape
            grids.append(at.reshape(grid))
        return padded[(slice(None), slice(None), *grids)]

    def flat(self, array, fill):
        """`[samples, channels, number of windows, places of the kernel]`."""
        return self.read(array, fill).reshape(array.shape[:2] + (math.prod(self.places), math.prod(self.kernel)))

    def image(self, array):
        """Back from one number of each window."""
        return array.reshape(array.shape[:2] + tuple(self.places))


def whole(x):
    """The window over the whole image."""
    return Window({}, x.exact.shape[2:], x.exact.shape[2:])


def one_scale(x):
    """The scale of all codes; None where there are several, or no codes."""
    if x.codes is None:
        return None
    scales = np.broadcast_to(x.scale, x.exact.shape).reshape(-1)
    return scales[0] if (scales == scales[0]).all() else None


def whole_numbers(a):
    """Fractions as integers over one denominator."""
    over = math.lcm(*{v.denominator for v in a.reshape(-1)})
    return each(lambda v: v.numerator * (over // v.denominator), a), over


class ImageEvaluation(Evaluation):
    """An evaluation that knows the operators of convolutional networks too."""

    def call(self, handler, node, name, attrs, args):
        if node.domain != CHANNELS_LAST:
            return handler(name, attrs, *args)
        args[0] = args[0].moved(to_first)
        if node.op_type == "Conv":
            args[1] = args[1].moved(to_first)
        return handler(name, attrs, *args).moved(to_last)

    # Sums of products

    def op_conv(self, name, attrs, x, w, b=None):
        groups, rows = attrs.get("group", 1), w.exact.shape[0]
        window = Window(attrs, w.exact.shape[2:], x.exact.shape[2:])
        each_in, each_out = x.exact.shape[1] // groups, rows // groups
        assert each_in == w.exact.shape[1]
        scale = None if x.codes is None else np.broadcast_to(x.scale, x.exact.shape)
        parts = []
        for g in range(groups):
            own = slice(g * each_in, (g + 1) * each_in)

            def matrix(array, fill):
                """One row for each window of each sample."""
                read = window.flat(array[:, own], fill).swapaxes(1, 2)
                return read.reshape(-1, each_in * math.prod(window.kernel))

            if scale is not None:
                # Outside, code 0 means 0 whatever the scale.
                near = scale[:, own].reshape(-1)[0]
            codes = None if scale is None else matrix(x.codes, 0)
            a = Value(matrix(x.exact, Fraction(0)), matrix(x.err, 0.0), codes,
                      None if scale is None else matrix(scale, near), x.rational)  # fmt: skip
            out = slice(g * each_out, (g + 1) * each_out)
            y = self.op_matmul(name, {}, a, w.moved(lambda v: v[out].reshape(each_out, -1).T))
            back = (x.exact.shape[0], math.prod(window.places), each_out)
            parts.append(y.moved(lambda v: window.image(v.reshape(back).swapaxes(1, 2))))
        y = self.joined(parts)
        if b is not None:
            y = self.op_add(name, {}, y, b.moved(lambda v: v.reshape((1, -1) + (1,) * len(window.size))))
        return y

    def op_matmul(self, name, attrs, a, b):
        if a.codes is not None and b.codes is not None:
            uniform = [(np.broadcast_to(v.scale, v.exact.shape) == s).all() for v, s in
                       ((a, np.broadcast_to(a.scale, a.exact.shape)[:, :1]),
                        (b, np.broadcast_to(b.scale, b.exact.shape)[:1, :]))]  # fmt: skip
            if all(uniform):
                return super().op_matmul(name, attrs, a, b)
        # Fractions one by one are slow: the same over one denominator.
        (m, over_a), (n, over_b) = whole_numbers(a.exact), whole_numbers(b.exact)
        exact = each(lambda v: Fraction(v, over_a * over_b), m @ n)
        size_a, size_b = np.abs(floats(a.exact)), np.abs(floats(b.exact))
        k = a.exact.shape[-1]
        err = size_a @ b.err + a.err @ size_b + a.err @ b.err + (k + 1) * EPS * (size_a @ size_b)
        return Value(exact, err, rational=a.rational and b.rational)

    # Pooling

    def average(self, x, window):
        count = math.prod(window.kernel)
        size = window.flat(np.abs(floats(x.exact)), 0.0).sum(-1)
        err = (window.flat(x.err, 0.0).sum(-1) + (count + 3) * EPS * size) / count
        scale = one_scale(x)
        if scale is None:
            exact = window.flat(x.exact, Fraction(0)).sum(-1) / count
        else:
            sums = window.flat(x.codes, 0).sum(-1)
            exact = each(lambda n: int(n) * scale / count, sums)
            # No rounding anywhere where a sum is a small multiple of a power of two, and so is the divisor.
            small = window.flat(np.abs(x.codes), 0).sum(-1) < 2**24
            clean = small & (window.flat(x.err, 0.0) == 0).all(-1)
            dyadic = count & (count - 1) == 0 and scale.numerator == 1 and representable(np.array(scale)).all()
            err = np.where(clean & dyadic, 0.0, err)
        return Value(exact, err, rational=x.rational).moved(window.image)

    def op_averagepool(self, name, attrs, x):
        window = Window(attrs, attrs["kernel_shape"], x.exact.shape[2:], attrs.get("ceil_mode", 0) == 1)
        inside = window.flat(np.ones(x.exact.shape), 0.0).sum(-1)
        assert attrs.get("count_include_pad", 0) or (inside == inside.flat[0]).all(), "its divisor varies"
        assert window.beyond == window.end, "its divisor varies"
        return self.average(x, window)

    def op_globalaveragepool(self, name, attrs, x):
        return self.average(x, whole(x))

    def op_reducemean(self, name, attrs, x, axes=None):
        axes = [int(a) % x.exact.ndim for a in (attrs["axes"] if axes is None else axes)]
        assert sorted(axes) == list(range(2, x.exact.ndim))
        y = self.average(x, whole(x))
        return y if attrs.get("keepdims", 1) else y.moved(lambda a: a.reshape(a.shape[:2]))

    def maximum(self, x, window):
        least = min(x.exact.reshape(-1)) - 1
        exact = window.flat(x.exact, least).max(-1)
        assert (exact != least).all(), "a window of padding alone"
        err = window.flat(x.err, 0.0).max(-1)
        scale = one_scale(x)
        if scale is None:
            return Value(exact, err, rational=x.rational).moved(window.image)
        codes = window.flat(x.codes, np.iinfo(np.int64).min).max(-1)
        return Value(exact, err, codes, np.array(scale).reshape((1,) * 3), x.rational).moved(window.image)

    def op_maxpool(self, name, attrs, x):
        ceil = attrs.get("ceil_mode", 0) == 1
        return self.maximum(x, Window(attrs, attrs["kernel_shape"], x.exact.shape[2:], ceil))

    def op_globalmaxpool(self, name, attrs, x):
        return self.maximum(x, whole(x))

    # Branches

    def joined(self, parts):
        """Channels one after the other; codes and scales where all parts have them."""
        together = lambda arrays: np.concatenate(list(arrays), axis=1)  # noqa: E731
        quantized = all(p.codes is not None for p in parts)
        return Value(together(p.exact for p in parts), together(p.err for p in parts),
                     together(p.codes for p in parts) if quantized else None,
                     together(np.broadcast_to(p.scale, p.exact.shape) for p in parts) if quantized else None,
                     all(p.rational for p in parts))  # fmt: skip

    def op_concat(self, name, attrs, *parts):
        if not isinstance(parts[0], Value):
            return super().op_concat(name, attrs, *parts)
        if attrs["axis"] % parts[0].exact.ndim == 1:
            return self.joined(parts)
        return self.joined([p.moved(to_first) for p in parts]).moved(to_last)

    def op_sum(self, name, attrs, first, *others):
        for other in others:
            first = self.op_add(name, {}, first, other)
        return first

    # Places

    def op_pad(self, name, attrs, x, pads=None, value=None, axes=None):
        assert attrs.get("mode", b"constant") == b"constant" and (value is None or not value.exact.any())
        pads = [int(p) for p in (attrs["pads"] if pads is None else pads)]
        axes = range(x.exact.ndim) if axes is None else [int(a) % x.exact.ndim for a in axes]
        width = [(0, 0)] * x.exact.ndim
        for i, a in enumerate(axes):
            width[a] = (pads[i], pads[len(axes) + i])

        def wider(array, fill):
            out = np.full([n + b + e for n, (b, e) in zip(array.shape, width)], fill, dtype=array.dtype)
            out[tuple(slice(b, b + n) for n, (b, _) in zip(array.shape, width))] = array
            return out

        scale = None if x.codes is None else np.broadcast_to(x.scale, x.exact.shape)
        return Value(wider(x.exact, Fraction(0)), wider(x.err, 0.0), None if scale is None else wider(x.codes, 0),
                     None if scale is None else wider(scale, scale.reshape(-1)[0]), x.rational)  # fmt: skip

    def op_upsample(self, name, attrs, x, scales=None):
        assert attrs.get("mode", b"nearest") == b"nearest"
        given = [Fraction(s) for s in attrs["scales"]] if scales is None else list(scales.exact)
        return self.nearest(x, given, "asymmetric", "floor")

    def op_resize(self, name, attrs, x, roi=None, scales=None, sizes=None):
        assert attrs.get("mode", b"nearest") == b"nearest"
        if self.opset < 11:
            return self.op_upsample(name, attrs, x, roi)
        if sizes is not None:
            given = [Fraction(int(s), n) for s, n in zip(sizes, x.exact.shape)]
        else:
            given = list(scales.exact)
        transform = attrs.get("coordinate_transformation_mode", b"half_pixel").decode()
        return self.nearest(x, given, transform, attrs.get("nearest_mode", b"round_prefer_floor").decode())

    @staticmethod
    def nearest(x, scales, transform, mode):
        half = Fraction(1, 2)
        for axis, scale in enumerate(scales):
            length = x.exact.shape[axis]
            places = []
            for place in range(math.floor(length * scale)):
                at = place / scale if transform == "asymmetric" else (place + half) / scale - half
                floor = {"floor": math.floor(at), "ceil": math.ceil(at), "round_prefer_floor": math.ceil(at - half),
                         "round_prefer_ceil": math.floor(at + half)}[mode]  # fmt: skip
                places.append(min(max(floor, 0), length - 1))
            x = x.moved(lambda v: np.take(v, places, axis=axis))
        return x

    def op_depthtospace(self, name, attrs, x):
        block = attrs["blocksize"]

        def move(a):
            n, c, h, w = a.shape
            if attrs.get("mode", b"DCR") == b"DCR":
                a = a.reshape(n, block, block, c // block**2, h, w).transpose(0, 3, 4, 1, 5, 2)
            else:
                a = a.reshape(n, c // block**2, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
            return a.reshape(n, c // block**2, h * block, w * block)

        return x.moved(move)

    def op_squeeze(self, name, attrs, x, axes=None):
        axes = attrs.get("axes") if axes is None else [int(a) for a in axes]
        return x.moved(lambda a: np.squeeze(a, tuple(axes)))

    def op_reshape(self, name, attrs, x, shape):
        kept = [n if s == 0 else int(s) for s, n in zip(shape, list(x.exact.shape) + [0] * len(shape))]
        return x.moved(lambda a: a.reshape(kept))

    # Truncation

    def op_trunc(self, name, attrs, x, scale, zero_point, bits_in, *rest):
        assert not zero_point.exact.any()
        rounding = ROUND[attrs.get("rounding_mode", b"FLOOR").decode().upper()]
        if len(rest) == 1:  # version 1
            by = Fraction(2) ** int(bits_in.exact.item() - rest[0].exact.item())
            return self.quantize(name, x, scale.exact, lambda v: rounding(round(v) / by))
        out_scale, bits_out = rest
        by = out_scale.exact.item() / scale.exact.item()
        cut = quantizer(int(bits_out.exact.item()), attrs.get("signed", 1), attrs.get("narrow", 0),
                        attrs.get("rounding_mode", b"FLOOR").decode())  # fmt: skip
        return self.quantize(name, x, scale.exact, lambda v: cut(round(v) / by), out_scale.exact)
