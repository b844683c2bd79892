"""Builds one random convolutional QONNX network, on top of network.py."""

from dataclasses import dataclass, replace

import numpy as np

from images import CHANNELS_LAST, Window, to_last
from network import Builder

LAST_OPS = ("Conv", "MaxPool", "BatchNormalization")  # what qonnx has for channels-last data

@dataclass(frozen=True)
class State:
    """What stands at the end of the graph so far."""

    name: str  # the tensor
    h: np.ndarray  # its values, about: [samples, channels, places...], channels first always
    quantized: bool = True  # a layer may read it: codes, and at most one sum or average of them
    scale: float | None = None  # the scale of its codes, if it is one
    bipolar: bool = False
    direct: bool = True  # nothing but moves since the last quantizer
    even: bool = True  # all channels have one scale
    bare: bool = False  # an accumulator, and nothing behind it but moves
    ordered: bool = False  # a convolution's rows, in whatever order is asked for: not yet joined or spread
    pooled: bool = False  # an accumulator behind a MaxPool: no function may fall
    bits: int = 99  # of its codes, if they are a quantizer's

    @property
    def channels(self):
        return self.h.shape[1]

    @property
    def size(self):
        return self.h.shape[2:]


class ConvolutionBuilder(Builder):
    """Grows image after image; `wish` names the operator that this network is to have."""

    kind = "random_cnn"

    def __init__(self, rng, samples, max_size, file_batch=None, wish=None):
        super().__init__(rng, samples, max_size, file_batch)
        self.wish, self.last = wish, False
        self.axes = 1 if wish == "line" or (wish is None and self.chance(0.15)) else 2
        self.tag_if(self.axes == 1, "1-D")
        self.trunc = self.pick(1, 2)  # one version of an operator set in a file

    # Layouts

    def node(self, op, inputs, shape, domain="", **attrs):
        if self.last and op in LAST_OPS:
            self.tag("channels_last:" + op)
            domain = CHANNELS_LAST
        out = super().node(op, inputs, shape, domain, **attrs)
        if self.last and len(shape) == self.axes + 2:
            self.last_tensors.add(out)
        return out

    def shape(self, h_shape):
        """A shape of the graph, from one with channels first."""
        shape = tuple(h_shape[1:])
        return (self.batch,) + (shape[1:] + shape[:1] if self.last else shape)

    def parameter(self, values, h):
        if np.size(values) == 1 or h.ndim == 2:
            return values
        shape = (1,) * self.axes + (-1,) if self.last else (-1,) + (1,) * self.axes
        if self.last and self.chance(0.5):
            return np.reshape(values, -1)
        return np.reshape(values, ((1,) if self.chance(0.5) else ()) + shape)

    def turned(self, s, last):
        """The same image in the other layout."""
        if last == self.last:
            return s
        rank = self.axes + 2
        perm = [0, *range(2, rank), 1] if last else [0, rank - 1, *range(1, rank - 1)]
        self.last = last
        return replace(s, name=self.node("Transpose", [s.name], self.shape(s.h.shape), perm=perm))

    def first(self, s):
        return self.turned(s, False)

    # Quantizers

    def activate(self, s, stem=None, scale=None, most=8, even=False, mode=0.25):
        """A quantizer behind `s`, of one scale (which may be given) or one for each channel."""
        bits, signed, narrow = self.activation_type()
        if scale is not None or most < 8:
            bits, signed = max(2, min(bits, most)), signed or bits == 1
            narrow = narrow and bits > 1
        self.tag_if(s.direct and s.quantized, "double_quant")
        bipolar = signed and bits == 1
        self.tag_if(signed and not bipolar, "signed_quant")
        levels = max(1, 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow)
        if scale is None:
            per = not even and s.channels > 1 and self.chance(0.2, "per_channel_activations")
            over = (0,) + tuple(range(2, s.h.ndim)) if per else None
            largest = np.abs(s.h).max()
            spread = np.maximum(np.abs(s.h).max(over), max(largest / 16, 1e-3)) * self.rng.uniform(0.5, 1.1) / levels
            scale = np.array([self.around(v) for v in spread]) if per else self.around(spread)
        given = self.parameter(scale, s.h)
        x = self.quant(s.name, self.shapes[s.name], stem or self.fresh("act"), given, bits, signed, narrow, self.mode(mode))
        step = self.per_channel(np.float64(scale), s.h) if np.ndim(scale) else np.float64(scale)
        low = -(2 ** (bits - 1)) + narrow if signed else 0
        high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
        codes = np.where(s.h >= 0, 1.0, -1.0) if bipolar else np.clip(np.rint(s.h / step), low, high)
        one = None if np.ndim(scale) else float(scale)
        return State(x, codes * step, scale=one, bipolar=bipolar, even=one is not None, bits=bits,
                     ordered=s.ordered)

    def truncate(self, s):
        """A Trunc of sums or averages of codes, whose scale then is one."""
        bits, kept = int(self.rng.integers(6, 11)), int(self.rng.integers(2, 6))
        scale = self.around(max(np.abs(s.h).max(), 1e-3) / 2 ** (bits - 1))
        mode = self.pick("FLOOR", "FLOOR", "CEIL", "ROUND")
        self.tag(f"Trunc:v{self.trunc}", f"Trunc:{mode}")
        stem = self.fresh("trunc")
        inputs = [s.name] + [self.floats(f"{stem}.{n}", v) for n, v in
                             (("scale", scale), ("zero_point", 0.0), ("bits", float(bits)))]  # fmt: skip
        out, attrs = np.float64(scale) * 2.0 ** (bits - kept), {}
        if self.trunc == 1:
            step = np.float64(scale)
        else:
            step, attrs = out, {"signed": 1, "narrow": int(self.chance(0.3))}
            inputs.append(self.floats(stem + ".out_scale", step))
        inputs.append(self.floats(stem + ".out_bits", float(kept)))
        x = self.node("Trunc", inputs, self.shapes[s.name], self.domain, rounding_mode=mode, **attrs)
        codes = np.floor(np.rint(s.h / scale) / (out / scale))
        if self.trunc == 2:
            codes = np.clip(codes, -(2 ** (kept - 1)) + attrs["narrow"], 2 ** (kept - 1) - 1)
        self.tag_if(s.direct and s.quantized, "double_quant")
        return State(x, codes * step, scale=float(np.float32(step)), ordered=s.ordered)

    def requantized(self, s, trunc=True, **kind):
        """Functions, and a quantizer or a Trunc."""
        if s.bare and not s.pooled and self.chance(0.35):
            x, h = self.norm(s.name, s.h, self.fresh("norm"))
            s = replace(s, name=x, h=h)
        if s.pooled:
            x, h = s.name, s.h
            if self.chance(0.5, "Relu"):
                x, h = self.node("Relu", [x], self.shapes[x]), np.maximum(h, 0)
        else:
            x, h = self.function(s.name, s.h)
        self.tag_if(s.quantized and s.direct and x != s.name, "double_quant")
        s = replace(s, name=x, h=h)
        if trunc and not kind.get("scale") and (self.wish == "trunc" or self.chance(0.08)):
            self.wish = None if self.wish == "trunc" else self.wish
            if np.abs(s.h).max() > 1e-6:
                return self.truncate(s)
        return self.activate(s, **kind)

    def readable(self, s, zero=False, even=False):
        """Codes that a layer may read: with a code of 0, or of one scale, if asked for."""
        if not s.quantized:
            s = self.requantized(s, most=5 if zero else 8, even=even)
        if (zero and s.bipolar) or (even and not s.even):
            s = self.activate(s, most=5, even=even)
        return s

    # Windows

    def window(self, size, padded, pooling=False):
        """Attributes of a window, as few as say it."""
        rng, attrs = self.rng, {}
        point = not pooling and self.chance(0.2)
        kernel = [1 if point else int(rng.integers(1, min(3, n + padded) + 1)) for n in size]
        dilation = [int(rng.integers(1, 3)) if 1 < k and (k - 1) * 2 < n and self.chance(0.3) else 1
                    for k, n in zip(kernel, size)]  # fmt: skip
        if pooling and self.opset < (10 if pooling == "MaxPool" else 19):
            dilation = [1] * len(size)
        stride = [int(rng.integers(1, 4)) if self.chance(0.4) else 1 for _ in size]
        pads = [[int(rng.integers(0, k)) if padded else 0 for k in kernel] for _ in range(2)]
        span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
        for a, n in enumerate(size):
            while n + pads[0][a] + pads[1][a] < span[a]:
                pads[self.rng.integers(2)][a] += 1
        if not pooling and self.chance(0.15):
            mode = self.pick("SAME_UPPER", "SAME_LOWER", "VALID") if padded else "VALID"
            fits = all(n >= k for n, k in zip(size, span))
            # onnxruntime has no dilation with SAME.
            if fits if mode == "VALID" else all(d == 1 for d in dilation):
                attrs["auto_pad"], pads = mode, [[0] * len(size)] * 2
                self.tag("auto_pad:" + mode)
        if "auto_pad" not in attrs:
            self.tag("pads:none" if not any(pads[0] + pads[1]) else
                     "pads:symmetric" if pads[0] == pads[1] else "pads:asymmetric")  # fmt: skip
            if any(pads[0] + pads[1]) or self.chance(0.5):
                attrs["pads"] = pads[0] + pads[1]
        if any(s > 1 for s in stride) or self.chance(0.5):
            attrs["strides"] = stride
        if any(d > 1 for d in dilation) or (self.chance(0.5) and not pooling):
            attrs["dilations"] = dilation
        if not pooling:
            self.tag_if(point, "1x1")
            self.tag_if(any(s > 1 for s in stride), "strided")
            self.tag_if(any(d > 1 for d in dilation), "dilated")
        return kernel, attrs

    def same(self, size):
        """A window that keeps the image's size."""
        kernel = [int(self.pick(1, 3)) for _ in size]
        pads = [k // 2 for k in kernel]
        return kernel, {"pads": pads + pads} if any(pads) else {}

    def conv(self, s, rows=None, window=None):
        # Weights take in the ratios of scales, if these are whole.
        s = self.readable(s, zero=window is not None or self.chance(0.7), even=not self.ties)
        kernel, attrs = window or self.window(s.size, not s.bipolar)
        if not (s.bipolar or self.last) and window is None and "auto_pad" not in attrs and any(attrs.get("pads", [])) \
                and self.chance(0.9 if self.wish == "pad" else 0.25):  # fmt: skip
            s = self.pad(s, attrs.pop("pads"))
        groups = self.pick(*[g for g in range(1, s.channels + 1) if s.channels % g == 0])
        if self.wish == "groups":
            groups = s.channels if self.chance(0.5) else next((g for g in range(2, s.channels) if s.channels % g == 0), s.channels)
        if rows is not None and rows % groups:
            groups = 1
        self.wish = None if self.wish in ("groups", "pad", "line") else self.wish
        rows = rows or groups * int(self.rng.integers(1, max(2, 8 // groups) + 1))
        each = s.channels // groups
        self.tag_if(1 < groups < s.channels, "grouped")
        self.tag_if(1 < groups == s.channels, "depthwise")
        latent, scale, bits, signed, narrow, mode = self.weights(rows, each * int(np.prod(kernel)))
        self.conv_shapes.append(list(latent.shape))
        stem = self.fresh("conv")
        values = self.weight_values(latent, np.float64(scale), bits, signed, narrow).reshape(rows, each, -1)
        latent = latent.reshape(rows, each, *kernel)
        scale = scale.reshape(rows, *[1] * (self.axes + 1)) if np.ndim(scale) else scale
        latent = np.ascontiguousarray(to_last(latent)) if self.last else latent
        w = self.floats(stem + ".weight", latent)
        w = self.quant(w, latent.shape, stem + ".weight_quant", scale, bits, signed, narrow, mode, weight=True)
        view = Window(self.encoded(attrs), kernel, s.size)
        read = view.flat(s.h, 0.0)
        h = [np.einsum("ncpk,rck->nrp", read[:, g * each : (g + 1) * each], v)
             for g, v in enumerate(np.split(values, groups))]  # fmt: skip
        h, inputs = view.image(np.concatenate(h, 1)), [s.name, w]
        if self.chance(0.4, "conv_bias"):
            bias = self.bias(h)
            inputs.append(self.bias_tensor(stem, bias))
            h = h + self.per_channel(bias, h)
        if groups > 1 or self.chance(0.5):
            attrs["group"] = groups
        if self.last or self.chance(0.7):
            attrs["kernel_shape"] = kernel
        if self.last:  # qonnx asks for all of them
            attrs.setdefault("group", groups)
            for name, value in (("strides", [1]), ("dilations", [1]), ("pads", [0, 0])):
                if not (name == "pads" and "auto_pad" in attrs):
                    attrs.setdefault(name, value * self.axes)
        x = self.node("Conv", inputs, self.shape(h.shape), **attrs)
        self.tag("Conv")
        return State(x, h, quantized=False, direct=False, even=np.ndim(scale) == 0, bare=True, ordered=True)

    @staticmethod
    def encoded(attrs):
        return {k: v.encode() if isinstance(v, str) else v for k, v in attrs.items()}
