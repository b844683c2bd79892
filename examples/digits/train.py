"""Train a 4-bit A2Q+ perceptron on the UCI digits with Brevitas and export it as QONNX.

    pip install -r requirements.txt && python train.py

Writes, beside this file: digits.onnx, and for the 360 held-out images test_inputs.npy (pixel levels 0..16 as
float32, [360, 64]), test_labels.npy and brevitas_logits.npy (what Brevitas itself computes for them). Half a minute.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from brevitas.export import export_qonnx
from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import Int8AccumulatorAwareZeroCenterWeightQuant as A2QPlus
from brevitas.quant import Uint8ActPerTensorFloat
from onnx import numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
ACCUMULATORS = {"fc1": 9, "fc2": 9, "fc3": 10}  # bits; types alone would ask for 15, 14 and 14
EPOCHS, BATCH, SEED = 60, 64, 0


class Digits(nn.Module):
    """64-32-32-10; weights, activations and pixels have 4 bits."""

    def __init__(self):
        super().__init__()
        # A fixed scale of 1: code = pixel level. Level 16 (as good as white) saturates to 15.
        self.pixels = QuantIdentity(
            Uint8ActPerTensorFloat, bit_width=4, scaling_impl_type="const", scaling_init=15.0, return_quant_tensor=True
        )
        self.fc1 = self.linear("fc1", 64, 32)
        self.norm1 = nn.BatchNorm1d(32)
        self.relu1 = QuantReLU(bit_width=4, return_quant_tensor=True)
        self.fc2 = self.linear("fc2", 32, 32)
        self.norm2 = nn.BatchNorm1d(32)
        self.relu2 = QuantReLU(bit_width=4, return_quant_tensor=True)
        # One scale for all classes, so that accumulators of different classes compare directly.
        self.fc3 = self.linear("fc3", 32, 10, bias=True, weight_scaling_per_output_type="tensor")

    @staticmethod
    def linear(name, inputs, outputs, bias=False, **options):
        options |= {"weight_bit_width": 4, "weight_accumulator_bit_width": ACCUMULATORS[name]}
        return QuantLinear(inputs, outputs, bias, weight_quant=A2QPlus, **options)

    def forward(self, x):
        x = self.pixels(x)
        x = self.relu1(self.norm1(self.fc1(x)))
        x = self.relu2(self.norm2(self.fc2(x)))
        return self.fc3(x)


@torch.no_grad()
def project(layer, budget, centred=True):
    """Start where the accumulator allows: project every (for A2Q+: zero-centred) channel onto the l1 ball (EP-init)."""
    quant = layer.weight_quant.tensor_quant
    radius = (2**quant.scaling_impl.value * budget).expand(layer.out_features, 1)
    w = layer.weight - layer.weight.mean(1, keepdim=True) if centred else layer.weight
    u, _ = w.abs().sort(1, descending=True)
    excess = (u.cumsum(1) - radius) / torch.arange(1, layer.in_features + 1)
    rho = (u > excess).sum(1, keepdim=True) - 1
    layer.weight.copy_(w.sign() * (w.abs() - excess.gather(1, rho).relu()).relu())
    norm = quant.pre_scaling_impl.value
    norm.copy_(torch.minimum(norm, radius.log2()))


def train(model, x, y):
    for name in ACCUMULATORS:
        project(getattr(model, name), (2 ** ACCUMULATORS[name] - 2) / (2**4 - 1))
    steps = len(x) // BATCH
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    for epoch in range(EPOCHS):
        for batch in torch.randperm(len(x))[: steps * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1}/{EPOCHS}: loss {loss.item():.3f}")


def freeze(model, example):
    """Put the quantized weights in the place of the latent ones, in A2Q and A2Q+ layers; returns their integers.

    Brevitas (0.13.4) exports the latent weights of these layers, without their normalisation: round(latent / scale)
    is another network, and one that overflows. After this the model is good for export only.
    """
    codes = {}

    def store(layer, inputs, _):
        weights = layer.quant_weight(inputs[0])
        codes[layer] = weights.int().numpy()
        layer.weight.data = weights.value

    layers = {m: name for name, m in model.named_modules() if isinstance(m, QuantLinear)}
    hooks = [m.register_forward_hook(store) for m in layers if m.weight_quant.requires_quant_input]
    with torch.no_grad():
        model.eval()(example)
    for hook in hooks:
        hook.remove()
    return {layers[m]: integers for m, integers in codes.items()}


def codes_in_file(path):
    """The integer weights, read back from the file alone."""
    graph = onnx.load(path).graph
    value = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in graph.initializer}
    return {
        n.input[1].split(".weight_quant")[0]: np.rint(value[n.input[0]] / value[n.input[1]]).astype(int)
        for n in graph.node if n.op_type == "Quant" and n.input[0] in value
    }  # fmt: skip


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # sums in one order: the same file on every run
    x, y = load_digits(return_X_y=True)
    split = train_test_split(x.astype(np.float32), y, test_size=360, stratify=y, random_state=SEED)
    x, test_x, y, test_y = (torch.from_numpy(part) for part in split)

    model = Digits()
    train(model, x, y)
    model.eval()
    with torch.no_grad():
        logits = model(test_x)
    print(f"held-out accuracy {(logits.argmax(1) == test_y).sum().item()} of {len(test_y)}")

    trained = freeze(model, test_x[:1])
    file = HERE / "digits.onnx"
    export_qonnx(model, args=test_x[:1], export_path=file, external_data=False, optimize=True)
    onnx_model = onnx.load(file)
    for node in onnx_model.graph.node:  # stack traces: the folders of whoever exported it
        for prop in [p for p in node.metadata_props if p.key.endswith("stack_trace")]:
            node.metadata_props.remove(prop)
    onnx.save(onnx_model, file)

    written = codes_in_file(file)
    assert written.keys() == trained.keys() == ACCUMULATORS.keys()
    for name, codes in written.items():
        assert (codes == trained[name]).all(), f"{name}: the file does not hold the trained integers"
        low, high = 15 * codes.clip(max=0).sum(1).min(), 15 * codes.clip(min=0).sum(1).max()  # 15: the largest input
        assert -(2 ** (ACCUMULATORS[name] - 1)) <= low and high < 2 ** (ACCUMULATORS[name] - 1), f"{name} overflows"
        print(f"{name}: accumulator [{low}, {high}], {(codes == 0).mean():.0%} of the weights are zero")

    np.save(HERE / "test_inputs.npy", test_x.numpy())
    np.save(HERE / "test_labels.npy", test_y.numpy().astype(np.int64))
    np.save(HERE / "brevitas_logits.npy", logits.numpy().astype(np.float32))


if __name__ == "__main__":
    main()
