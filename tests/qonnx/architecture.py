"""Puts layers, pooling, branches and an end together to a random convolutional network."""

from dataclasses import replace

import numpy as np

from convolution import ConvolutionBuilder, State
from images import Window, to_first, to_last

LARGEST = 300  # elements of an image

# Operators that networks are asked for in turn; the rest comes by chance.
WISHES = ["residual", "concat", "upsample", "depth", "average", "max", "global", "last", "throughout", "last_flatten",
          "groups", "pad", "line", "trunc", "two_scales", "border", "two_blocks", "upsample", None]  # fmt: skip

# What every set of networks must hold at least once, so that no operator is forgotten: tags.
REQUIRED = {
    "Conv", "strided", "dilated", "grouped", "depthwise", "1x1", "1-D", "pads:none", "pads:asymmetric",
    "auto_pad:SAME_UPPER", "auto_pad:SAME_LOWER", "auto_pad:VALID", "conv_bias", "MaxPool", "MaxPool:padded",
    "MaxPool:ceil", "GlobalMaxPool", "AveragePool", "AveragePool:count_include_pad", "AveragePool:no_pads",
    "GlobalAveragePool", "ReduceMean", "residual:identity", "residual:conv", "Add:one_scale", "Add:two_scales", "Sub:one_scale",
    "Concat", "Concat:one_scale", "Concat:two_scales", "nearest", "Upsample", "Resize", "DepthToSpace:DCR",
    "DepthToSpace:CRD", "Pad", "Flatten", "Reshape", "Gemm", "MatMul", "signed_quant", "bipolar_activations",
    "per_channel_activations", "Trunc:v1", "Trunc:v2", "channels_last:inside", "channels_last:throughout",
    "channels_last:Conv", "channels_last:MaxPool", "channels_last:BatchNormalization", "channels_last:Flatten",
    "BatchNormalization", "BipolarQuant", "output:image", "output:vector", "Pad:anywhere", "DepthToSpace:block_3",
    "DepthToSpace:joined", "channels_last:output",
}  # fmt: skip



class NetworkBuilder(ConvolutionBuilder):
    """A whole network."""

    # Pooling

    def pad(self, s, pads):
        """Zeros around an image, as a node of its own."""
        spatial = [pads[: self.axes], pads[self.axes :]]
        h = np.pad(s.h, [(0, 0), (0, 0)] + list(zip(*spatial)))
        given = [0, 0, *spatial[0], 0, 0, *spatial[1]]
        self.tag("Pad")
        if self.opset < 11:
            x = self.node("Pad", [s.name], self.shape(h.shape), pads=given, mode="constant")
        elif self.opset >= 18 and self.chance(0.4, "Pad:axes"):
            names = [self.constant(self.fresh("pads"), np.array(pads, dtype=np.int64)), "",
                     self.constant(self.fresh("axes"), np.arange(2, self.axes + 2))]  # fmt: skip
            x = self.node("Pad", [s.name] + names, self.shape(h.shape))
        else:
            names = [self.constant(self.fresh("pads"), np.array(given, dtype=np.int64))]
            names += [self.floats(self.fresh("pad_value"), 0.0)] if self.chance(0.5) else []
            x = self.node("Pad", [s.name] + names, self.shape(h.shape))
        return replace(s, name=x, h=h)

    def border(self, s):
        """Zeros around codes, whatever reads them."""
        s = self.readable(self.first(s), zero=True, even=not self.ties)
        pads = [int(self.rng.integers(0, 3)) for _ in range(2 * self.axes)]
        room = int(np.prod([n + pads[a] + pads[self.axes + a] for a, n in enumerate(s.size)]))
        if s.bipolar or not any(pads) or s.channels * room > LARGEST:
            return s
        self.tag("Pad:anywhere")
        self.wish = None if self.wish == "border" else self.wish
        return replace(self.pad(s, pads), ordered=False)

    def max_pool(self, s):
        if not (s.quantized or s.bare):
            s = self.readable(s)
        if not self.last and self.chance(0.15, "GlobalMaxPool"):
            h = s.h.max(tuple(range(2, s.h.ndim)), keepdims=True)
            x = self.node("GlobalMaxPool", [s.name], self.shape(h.shape))
        else:
            ceil = self.opset >= 10 and not self.last and self.chance(0.4 if self.wish != "max" else 0.8)
            for _ in range(8 if ceil and self.wish == "max" else 1):  # a window beyond the image is rare
                kernel, attrs = self.window(s.size, self.chance(0.5), "MaxPool")
                view = Window(attrs, kernel, s.size, ceil)
                if view.beyond != view.end:
                    break
            h = view.flat(s.h, -np.inf).max(-1)
            if not np.isfinite(h).all():  # a window of padding alone
                return s
            h = view.image(h)
            self.tag("MaxPool")
            self.tag_if(any(attrs.get("pads", [])), "MaxPool:padded")
            self.tag_if(view.beyond != view.end, "MaxPool:ceil")
            if self.last:  # qonnx asks for all of them
                attrs = {"strides": [1] * self.axes, "pads": [0] * 2 * self.axes} | attrs
            attrs |= {"ceil_mode": int(ceil)} if ceil or (self.last and self.opset >= 10) else {}
            x = self.node("MaxPool", [s.name], self.shape(h.shape), kernel_shape=kernel, **attrs)
        self.wish = None if self.wish == "max" else self.wish
        return replace(s, name=x, h=h, pooled=s.pooled or not s.quantized)

    def average(self, s):
        s = self.readable(self.first(s), zero=self.chance(0.5), even=self.chance(0.5))
        kernel, attrs = self.window(s.size, not s.bipolar, "AveragePool")
        padded = any(attrs.get("pads", []))
        if padded or self.chance(0.3):
            attrs["count_include_pad"] = 1
        self.tag("AveragePool", "AveragePool:count_include_pad" if padded else "AveragePool:no_pads")
        view = Window(attrs, kernel, s.size)
        if view.beyond == view.end and self.opset >= 10 and self.chance(0.3):
            exact = all((n + b + e - k) % st == 0 for n, b, e, k, st in
                        zip(s.size, view.begin, view.end, kernel, view.stride))  # fmt: skip
            if exact and view.dilation == [1] * self.axes:
                attrs["ceil_mode"] = 1
        h = view.image(view.flat(s.h, 0.0).mean(-1))
        x = self.node("AveragePool", [s.name], self.shape(h.shape), kernel_shape=kernel, **attrs)
        self.wish = None if self.wish == "average" else self.wish
        return State(x, h, direct=False, even=s.even, bipolar=s.bipolar)

    def global_average(self, s):
        """The mean of an image, with or without its axes of places."""
        s = self.readable(self.first(s))
        axes = tuple(range(2, self.axes + 2))
        if self.chance(0.6, "GlobalAveragePool"):
            h = s.h.mean(axes, keepdims=True)
            x = self.node("GlobalAveragePool", [s.name], self.shape(h.shape))
        else:
            keep = self.chance(0.4)
            self.tag("ReduceMean")
            h = s.h.mean(axes, keepdims=keep)
            given, attrs = [], {"axes": list(axes)}
            if self.opset >= 18:
                given, attrs = [self.constant(self.fresh("axes"), np.array(axes, dtype=np.int64))], {}
            x = self.node("ReduceMean", [s.name] + given, (self.batch,) + h.shape[1:], keepdims=int(keep), **attrs)
        self.wish = None if self.wish == "global" else self.wish
        return State(x, h, direct=False, even=s.even, bipolar=s.bipolar)

    # Places

    def upsample(self, s):
        s = self.first(s)
        if not (s.quantized or s.bare):
            s = self.readable(s)
        factors = [int(self.rng.integers(1, 4)) for _ in s.size]
        if int(np.prod(factors)) * s.h[0].size > LARGEST:
            return s
        h = s.h
        for axis, factor in enumerate(factors):
            h = np.repeat(h, factor, axis + 2)
        scales = [1.0, 1.0, *map(float, factors)]
        self.tag("nearest")
        if self.opset < 10:
            self.tag("Upsample")
            inputs, attrs = [s.name, self.floats(self.fresh("scales"), scales)], {"mode": "nearest"}
            return replace(s, name=self.node("Upsample", inputs, self.shape(h.shape), **attrs), h=h)
        self.tag("Resize")
        attrs = {"mode": "nearest"} if self.chance(0.7) else {}
        if self.opset == 10:
            inputs = [s.name, self.floats(self.fresh("scales"), scales)]
        else:
            forms = [("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"),
                     ("pytorch_half_pixel", "round_prefer_floor")]  # fmt: skip
            form = self.pick(*forms)
            if form[0] == "pytorch_half_pixel" and 1 in h.shape[2:]:
                form = forms[0]
            attrs |= dict(zip(("coordinate_transformation_mode", "nearest_mode"), form))
            self.tag("Resize:" + form[0])
            roi = "" if self.opset >= 13 and self.chance(0.5) else self.floats(self.fresh("roi"), np.zeros(0))
            if self.opset >= 13 and self.chance(0.4, "Resize:sizes"):
                sizes = np.array(self.shape(h.shape), dtype=np.int64)
                inputs = [s.name, roi, "", self.constant(self.fresh("resize_shape"), sizes)]
            else:
                inputs = [s.name, roi, self.floats(self.fresh("scales"), scales)]
        self.wish = None if self.wish == "upsample" else self.wish
        return replace(s, name=self.node("Resize", inputs, self.shape(h.shape), **attrs), h=h)

    def depth_to_space(self, s):
        s = self.first(s)
        block = next((b for b in (3, 2) if s.channels % b**2 == 0), None) or self.pick(2, 2, 3)
        places = block**2
        if s.channels % places:
            s = self.conv(s, rows=places * int(self.rng.integers(1, 3)))
        if not (s.quantized or s.bare) or (s.quantized and not s.even):
            s = self.readable(s, even=True)
        if s.h[0].size > LARGEST:
            return s
        crd = self.opset >= 11 and self.chance(0.5)
        n, c, rows, columns = s.h.shape
        if crd:
            h = s.h.reshape(n, c // places, block, block, rows, columns).transpose(0, 1, 4, 2, 5, 3)
        else:
            h = s.h.reshape(n, block, block, c // places, rows, columns).transpose(0, 3, 4, 1, 5, 2)
        self.tag("DepthToSpace:" + ("CRD" if crd else "DCR"), f"DepthToSpace:block_{block}")
        self.tag_if(crd and not s.ordered, "DepthToSpace:joined")
        h, s = h.reshape(n, c // places, block * rows, block * columns), replace(s, ordered=False)
        attrs = {"mode": "CRD" if crd else "DCR"} if crd or (self.opset >= 11 and self.chance(0.5)) else {}
        self.wish = None if self.wish == "depth" else self.wish
        return replace(s, name=self.node("DepthToSpace", [s.name], self.shape(h.shape), blocksize=block, **attrs), h=h)

    # Branches

    def branch(self, s, rows=None, scale=None, most=8):
        """A convolution that keeps the size, and its quantizer."""
        y = self.conv(s, rows, self.same(s.size))
        return self.requantized(y, trunc=False, scale=scale, most=most, even=True)

    def residual(self, s):
        two = self.wish == "two_scales" or (self.wish != "residual" and self.chance(0.3))
        s = self.readable(s, zero=True, even=True)
        # Sums of different scales: all pairs of codes are gone through, so few bits.
        identity = self.chance(0.6) and (s.bits <= 4 if two else s.scale is not None)
        most = 4 if two else 8
        other = s if identity else self.branch(s, s.channels, most=most)
        a = self.branch(s, s.channels, None if two else other.scale, most)
        ends = [a, other] if self.chance(0.5) else [other, a]
        op = self.pick("Add", "Add", "Sub", "Sum")
        h = ends[0].h - ends[1].h if op == "Sub" else ends[0].h + ends[1].h
        x = self.node(op, [e.name for e in ends], self.shape(h.shape))
        self.tag("residual:" + ("identity" if identity else "conv"))
        self.tag(("Sub" if op == "Sub" else "Add") + (":two_scales" if two else ":one_scale"))
        self.wish = None if self.wish in ("residual", "two_scales") else self.wish
        if not two:
            y = State(x, h, scale=other.scale, direct=False)
            return y if self.chance(0.4, "sum_read") else self.requantized(y)
        return self.requantized(State(x, h, quantized=False, direct=False), trunc=False)

    def concat(self, s):
        s = self.readable(s)
        same = s.scale is not None and self.chance(0.4)
        ends = [s, self.branch(s, scale=s.scale if same else None)]
        if self.chance(0.3):
            ends.append(self.branch(s, scale=s.scale if same else None))
        ends = [ends[i] for i in self.rng.permutation(len(ends))]
        h = np.concatenate([e.h for e in ends], 1)
        axis = self.axes + 1 if self.last else self.pick(1, -self.axes - 1)
        x = self.node("Concat", [e.name for e in ends], self.shape(h.shape), axis=axis)
        self.tag("Concat", "Concat:one_scale" if same else "Concat:two_scales")
        self.tag_if(self.last, "channels_last:Concat")
        self.wish = None if self.wish == "concat" else self.wish
        y = State(x, h, scale=s.scale if same else None, direct=False, even=same, bipolar=any(e.bipolar for e in ends))
        return y if same or self.ties else self.requantized(y)

    # The whole

    def start(self):
        channels = int(self.rng.integers(1, 5))
        size = [int(self.rng.integers(2, 9)) for _ in range(self.axes)]
        if self.wish in ("throughout", "last") or (self.wish is None and self.chance(0.1)):
            channels = max(2, channels)
            self.last = self.wish == "throughout"
        if self.wish in ("groups", "depth"):
            channels = 4
        shape = (*size, channels) if self.last else (channels, *size)
        x, h = self.source(shape, shape, None)
        if self.last:
            self.last_tensors |= {t for t, own in self.shapes.items() if len(own) == self.axes + 2}
        coded = "no_first_quant" in self.tags
        bipolar = not coded and not any(t.startswith("input:") for t in self.tags)
        s = State(x, to_first(h) if self.last else h, bipolar=bipolar, direct=not coded)
        if self.last:
            self.tag("channels_last:throughout")
            self.wish = None
            # The operator that says how its data lie reads the graph's input, and reads it alone.
            return self.max_pool(s) if self.chance(0.3) and s.quantized else self.conv(s)
        return s

    def two_blocks(self, s):
        """DepthToSpace twice, or behind a Concat."""
        s = self.depth_to_space(self.conv(self.first(s), rows=16)) if self.chance(0.5) else self.concat(self.first(s))
        self.wish = None if self.wish == "two_blocks" else self.wish
        return s if s.channels % 4 else self.depth_to_space(s)

    def step(self, s):
        ops = {"residual": self.residual, "two_scales": self.residual, "concat": self.concat, "upsample": self.upsample,
               "depth": self.depth_to_space, "average": self.average, "max": self.max_pool,
               "border": self.border, "two_blocks": self.two_blocks}  # fmt: skip
        wish = self.wish
        if wish == "global" and s.h[0].size > 4:
            return self.global_average(s) if self.chance(0.3) else self.conv(s)
        if wish == "last" or (wish is None and not self.last and self.chance(0.07)):
            self.tag("channels_last:inside")
            self.wish = None
            s = self.conv(self.turned(s, True))
            return self.max_pool(s) if self.chance(0.5) else self.requantized(s) if self.chance(0.5) else s
        if wish in ops and self.chance(0.6):
            op = ops[wish]
        else:
            op = self.pick(self.conv, self.conv, self.conv, self.max_pool, self.average, self.upsample, self.residual,
                           self.concat, self.depth_to_space, self.border)  # fmt: skip
        if op in (self.depth_to_space, self.two_blocks) and self.axes == 1:
            op = self.conv
        if op in (self.concat, self.residual) and s.h[0].size > LARGEST // 2:
            op = self.conv
        if op != self.conv and s.h[0].size > LARGEST:
            op = self.max_pool
        return op(s)

    def build(self):
        s = self.start()
        for _ in range(int(self.rng.integers(1, 5))):
            s = self.step(s)
            if s.h.ndim == 2:
                break
        for _ in range(3):
            if self.wish in (None, "trunc", "last_flatten", "line") or s.h.ndim == 2:
                break
            s = self.step(s)
        if "Conv" not in self.tags and s.h.ndim > 2:
            s = self.conv(s)
        image = s.h.ndim > 2 and self.wish != "last_flatten" and self.chance(0.6 if self.last else 0.25)
        x = self.image_end(s) if image else self.vector_end(s)
        self.model = self.finish(x)
        return self

    def image_end(self, s):
        self.tag("output:image")
        bare = s.bare and self.nodes[-1].op_type == "Conv"
        if not bare or self.wish == "trunc" or self.chance(0.4):
            s = self.requantized(s) if not s.quantized or not s.even or s.bits > 8 else s
        if self.last and self.chance(0.5, "channels_last:output"):
            return s.name
        s = self.first(s)
        if bare or self.axes == 1 or s.channels % 4 or self.chance(0.5) or not (s.quantized and s.even):
            return s.name
        return self.depth_to_space(s).name

    def vector_end(self, s):
        self.tag("output:vector")
        if s.h.ndim > 2:
            s = self.readable(s, even=not self.ties)
            if self.wish == "last_flatten" and not alike(s.h):
                s = self.turned(s, True)
                self.tag("channels_last:Flatten")
            elif self.last and not self.chance(0.3 if not alike(s.h) else 0.0, "channels_last:Flatten"):
                s = self.first(s)
            if not self.last and self.chance(0.25) and s.h[0].size > s.channels:
                s = self.global_average(s)
        if s.h.ndim > 2:
            flat = (to_last(s.h) if self.last else s.h).reshape(self.samples, -1)
            how = self.pick("Flatten", "Reshape", "chain")
            if s.h[0].size == s.channels and not self.last and self.chance(0.5):
                how = "Squeeze"
                axes = list(range(2, self.axes + 2))
                given, attrs = [], {"axes": axes}
                if self.opset >= 13:
                    given, attrs = [self.constant(self.fresh("axes"), np.array(axes, dtype=np.int64))], {}
                x = self.node("Squeeze", [s.name] + given, (self.batch, s.channels), **attrs)
            else:
                x = self.flatten(s.name, flat.shape[1], how)
            self.tag(how)
            self.last = False
            s = replace(s, name=x, h=flat)
        for i in range(int(self.rng.integers(1, 3))):
            rows = int(self.rng.integers(1, 9))
            if not s.quantized:
                s = self.requantized(s, even=not self.ties)
            if not s.even and not self.ties:
                s = self.activate(s, even=True)
            x, h = self.dense(s.name, s.h, rows, f"classifier.{i}")
            self.tag("Gemm" if "Gemm" in self.nodes[-1].op_type else "MatMul")
            s = State(x, h, quantized=False, direct=False, bare=True)
        if self.wish == "trunc" or self.chance(0.3, "final_quant"):
            return self.requantized(s).name
        if self.chance(0.3):
            op = self.pick("Softmax", "LogSoftmax", "Sigmoid")
            self.tag("final:" + op)
            return self.node(op, [s.name], self.shapes[s.name], **({} if op == "Sigmoid" else {"axis": 1}))
        return s.name


def alike(h):
    """Whether both layouts hold the elements alike."""
    return h.shape[1] == 1 or h[0].size == h.shape[1]
