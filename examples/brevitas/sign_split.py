"""Sign-split: a weight quantizer for Brevitas whose accumulators fit a given width exactly, for every input.

    QuantLinear(784, 64, bias=False, weight_quant=SignSplitWeightQuant, weight_bit_width=4, weight_accumulator_bit_width=9)

A sum of w*x with unsigned x is largest where x is largest under the positive weights and 0 under the negative ones. So the
codes fit an accumulator of P bits if and only if the positive ones sum up to at most (2^(P-1) - 1) / x_max and the negative
ones to at most 2^(P-1) / x_max: either sign has a budget of its own. A2Q's l1 norm is about half of that set, A2Q+'s has the
same size but asks for weights whose mean is 0. The layer's input must be quantized (return_quant_tensor=True before it).

For export, store the quantized weights in place of the latent ones first: `freeze` in ../digits/train.py.
"""

import torch
from brevitas.inject.enum import ScalingPerOutputType
from brevitas.quant import Int8AccumulatorAwareWeightQuant
from torch import nn

BISECTIONS = 40  # of an interval no longer than the largest weight in units of the scale: beyond float32


def bisect(high, over):
    """The least threshold in [0, high] that is not `over`, row by row; 0 where 0 is not."""
    low = torch.zeros_like(high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        more = over(middle)
        low, high = torch.where(more, middle, low), torch.where(more, high, middle)
    return torch.where(over(torch.zeros_like(high)), high, 0)


def threshold(u, cap, budget):
    """theta with sum(clip(u - theta, 0, cap)) = budget for magnitudes u, row by row; 0 where the sum is within the budget.

    Differentiable: with a fixed set of values strictly between 0 and cap, theta is their mean less a constant. What one of
    them gains the others pay, and a larger scale buys more of all. Were theta a constant (the derivative of a plain soft
    threshold), scales would drift to where nothing fits: at 8 bits MNIST falls from 97 % to 54 %.
    """
    with torch.no_grad():
        high = u.amax(1, keepdim=True).clamp(min=0)
        theta = bisect(high, lambda t: (u - t).clamp(0, cap).sum(1, keepdim=True) > budget)
        between = ((u > theta) & (u < theta + cap)).to(u.dtype)
        count = between.sum(1, keepdim=True)
        binding = (theta > 0) & (count > 0)
    mean = (u * between).sum(1, keepdim=True) / count.clamp(min=1)
    return torch.where(binding, theta + mean - mean.detach(), theta)


@torch.no_grad()
def nearest(u, theta, cap, budget):
    """The integers 0..cap nearest to magnitudes u (Euclidean) whose sum is at most budget, row by row.

    A unit less costs 1 - 2 (q - u), ever more the more are taken: taking them from the largest q - u is optimal, and every
    point on that way is a rounded round(u - theta). So the rounded projection is only off by a unit here and there.
    """
    q = (u - theta).clamp(0, cap).round()

    def move(q, units, sign, gain, least):  # one unit each at the `units` largest gains of more than `least`
        gain, order = gain.sort(dim=1, descending=True, stable=True)
        chosen = (torch.arange(q.shape[1], device=q.device) < units) & (gain > least)
        return q.scatter_add(1, order, sign * chosen.to(q.dtype))

    none = torch.tensor(-torch.inf, dtype=u.dtype, device=u.device)
    q = move(q, q.sum(1, keepdim=True) - budget, -1, torch.where(q > 0, q - u, none), -torch.inf)
    return move(q, budget - q.sum(1, keepdim=True), 1, torch.where(q < cap, u - q, none), 0.5)


@torch.no_grad()
def budgets(u, cap, bits, signed, accumulator):
    """What the positive and what the negative codes may sum up to, for inputs of `bits`; u are weights in units of the scale."""
    top, bottom = 2 ** (accumulator - 1) - 1, 2 ** (accumulator - 1)
    if not signed:
        most = 2**bits - 1
        return top // most, bottom // most
    # Signed inputs let the sides compete: high * plus + low * minus <= top and low * plus + high * minus <= bottom. One
    # threshold for both sides says how they share; what the split leaves over goes to the positive ones first.
    high, low = 2 ** (bits - 1) - 1, 2 ** (bits - 1)

    def fits(plus, minus):
        return (high * plus + low * minus <= top) & (low * plus + high * minus <= bottom)

    def sums(t):
        return [(side - t).clamp(0, cap).sum(1, keepdim=True) for side in (u, -u)]

    _, minus = sums(bisect(u.abs().amax(1, keepdim=True), lambda t: ~fits(*sums(t))))
    minus = minus.floor()
    plus = torch.minimum((top - low * minus) // max(high, 1), (bottom - high * minus) // low)
    minus = torch.minimum((top - high * plus) // low, (bottom - low * plus) // max(high, 1))
    whole = [side.clamp(0, cap).round().sum(1, keepdim=True) for side in (u, -u)]
    enough = fits(*whole)
    return torch.where(enough, whole[0], plus), torch.where(enough, whole[1], minus)


def sign_split(u, cap, bits, signed, accumulator):
    """The nearest codes that fit, with the projection's gradient (straight through rounding and repair)."""
    codes = 0
    for sign, budget in zip((1, -1), budgets(u.detach(), cap, bits, signed, accumulator)):
        side = sign * u
        theta = threshold(side, cap, budget)
        smooth = (side - theta).clamp(0, cap)
        codes = codes + sign * (smooth + (nearest(side.clamp(min=0), theta, cap, budget) - smooth).detach())
    return codes


class SignSplitIntQuant(nn.Module):
    """Weights [outputs, ...] to codes times a learned scale 2^exponent, one per output channel (or per tensor)."""

    def __init__(self, bit_width, accumulator_bit_width, tracked_parameter_list, scaling_per_output_type):
        super().__init__()
        (weight,) = tracked_parameter_list
        channels = 1 if scaling_per_output_type == ScalingPerOutputType.TENSOR else weight.shape[0]
        self.bit_width, self.accumulator_bit_width = int(bit_width), int(accumulator_bit_width)
        self.exponent = nn.Parameter(torch.zeros(channels, 1, device=weight.device))
        self.register_buffer("begun", torch.tensor(False, device=weight.device))

    def scale(self, exponent):
        # 8 significant bits: few enough for classes with different scales to be compared in exact integers.
        power = 2**exponent
        mantissa, two = torch.frexp(power.detach())
        return power + (torch.ldexp((mantissa * 256).round() / 256, two) - power).detach()

    @torch.no_grad()
    def begin(self, w, *rest):
        """Scales whose codes point where the weights do: the largest cosine, for a batch norm takes out every factor."""
        usual = (w.abs().amax(1, keepdim=True).clamp(min=1e-12) / rest[0]).log2()
        shared = self.exponent.shape[0] == 1
        usual = usual.amax(0, keepdim=True) if shared else usual
        best = torch.full_like(usual, -torch.inf)
        # From a quarter of the usual scale, where few large codes spend the budget, to where the largest weight is 1, and many are.
        for exponent in (usual + eighths / 8 for eighths in range(-16, 8 * (self.bit_width - 1) + 1)):
            codes = sign_split(w / self.scale(exponent), *rest)
            cosine = (codes * w).sum(1, keepdim=True) / codes.norm(dim=1, keepdim=True).clamp(min=1e-12)
            cosine = cosine.sum(0, keepdim=True) if shared else cosine
            self.exponent.copy_(torch.where(cosine > best, exponent, self.exponent))
            best = torch.maximum(best, cosine)
        self.begun.fill_(True)

    def forward(self, weight, input_bit_width, input_is_signed):
        w = weight.flatten(1)
        rest = (2 ** (self.bit_width - 1) - 1, int(input_bit_width), bool(input_is_signed), self.accumulator_bit_width)
        if not self.begun:  # only here is the input's type known
            self.begin(w, *rest)
        scale = self.scale(self.exponent)
        values = (sign_split(w / scale, *rest) * scale).view_as(weight)
        scale = scale.view(-1, *[1] * (weight.dim() - 1))
        zero, bits = weight.new_zeros(()), weight.new_tensor(float(self.bit_width))
        return values, scale, zero, bits, scale, zero  # the last two: Brevitas' pre-scale and its zero point


class SignSplitWeightQuant(Int8AccumulatorAwareWeightQuant):
    """In the place of A2Q or A2Q+ as `weight_quant`, with the same options; for linear layers and convolutions."""

    tensor_quant = SignSplitIntQuant
