"""The network that train.py trains and the audit looks at."""

from torch import Tensor, nn


class Digits(nn.Module):
    """Two convolutions and a linear layer: 28 x 28 grey pixels to ten scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(32 * 7 * 7, 10)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.pool(self.relu(self.norm1(self.conv1(images))))  # [n, 16, 14, 14]
        maps = self.pool(self.relu(self.norm2(self.conv2(maps))))  # [n, 32, 7, 7]
        return self.head(maps.flatten(1))
