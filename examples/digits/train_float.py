"""Train a float perceptron on the UCI digits and export it as plain ONNX, for `snug quantize` to give it integers.

    pip install -r requirements.txt && python train_float.py

Writes float.onnx beside this file. It takes the same images as digits.onnx (test_inputs.npy), and nothing in it is quantized.
"""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
EPOCHS, BATCH, SEED = 60, 64, 0


class Digits(nn.Module):
    """64-32-32-10; pixel levels 0 to 16 are divided by 16 first."""

    def __init__(self):
        super().__init__()
        self.fc1, self.norm1 = nn.Linear(64, 32), nn.BatchNorm1d(32)
        self.fc2, self.norm2 = nn.Linear(32, 32, bias=False), nn.BatchNorm1d(32)
        self.fc3 = nn.Linear(32, 10)

    def forward(self, x):
        x = self.norm1(self.fc1(x / 16)).relu()
        x = self.norm2(self.fc2(x)).relu()
        return self.fc3(x)


def main():
    torch.manual_seed(SEED)
    x, y = load_digits(return_X_y=True)
    split = train_test_split(x.astype(np.float32), y, test_size=360, stratify=y, random_state=SEED)
    train_x, test_x, train_y, test_y = map(torch.from_numpy, split)
    model = Digits()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(train_x)).split(BATCH):
            loss = nn.functional.cross_entropy(model(train_x[batch]), train_y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    print(f"{(model(test_x).argmax(1) == test_y).sum()} of {len(test_y)} right")
    # BatchNormalization stays a node of its own, as in most files.
    keep = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    torch.onnx.export(model, torch.zeros(1, 64), HERE / "float.onnx", dynamo=False, **keep)


if __name__ == "__main__":
    main()
