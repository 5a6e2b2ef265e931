"""Draw pictures of shapes, train the classifier with them, write shapes.onnx and MODEL_CARD.md.

    make train-model MODEL=shapes

Everything is drawn here: nothing is downloaded. The same versions of torch and Pillow give the same artifact.
"""

import hashlib
import json
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from worker.models.shapes.model import LABELS, SIDE, pixels

FOLDER = Path(__file__).resolve().parents[1]
TRAINING, VALIDATION, HELD_OUT = 12_000, 2_000, 4_000
EPOCHS = 8


def draw(label: str, chance: random.Random, side: int = 160) -> Image.Image:
    """A picture of a shape, of any size, place, angle and colour, with noise, blur and uneven light."""
    background, ink = _colours(chance)
    picture = Image.new("RGB", (side, side), background)
    pen = ImageDraw.Draw(picture)
    radius = chance.uniform(0.16, 0.42) * side
    x, y = (chance.uniform(radius * 1.05, side - radius * 1.05) for _ in range(2))
    points = outline(label, x, y, radius, chance.uniform(0, 2 * math.pi))
    if chance.random() < 0.75:
        pen.polygon(points, fill=ink)
    else:
        pen.line([*points, *points[:2]], fill=ink, width=max(int(radius * chance.uniform(0.1, 0.2)), 4), joint="curve")
    if chance.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(chance.uniform(0.5, 2.5)))
    values = np.asarray(picture, dtype=np.float32)
    noise = np.random.default_rng(chance.randrange(2**32))
    values = values + noise.normal(0, chance.uniform(0, 14), values.shape)
    values += np.linspace(-1, 1, side)[:, None, None] * chance.uniform(-12, 12)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def outline(label: str, x: float, y: float, radius: float, angle: float) -> list[tuple[float, float]]:
    """The corners of a shape around a point; a circle's are many."""
    if label == "cross":
        arm = 0.3
        corners = [(1, arm), (arm, arm), (arm, 1), (-arm, 1), (-arm, arm), (-1, arm)]
        corners += [(-a, -b) for a, b in corners]
        polar = [(math.hypot(a, b), math.atan2(b, a)) for a, b in corners]
    else:
        count = {"circle": 60, "square": 4, "star": 10, "triangle": 3}[label]
        polar = [(0.42 if label == "star" and index % 2 else 1, 2 * math.pi * index / count) for index in range(count)]
    return [(x + radius * r * math.cos(a + angle), y + radius * r * math.sin(a + angle)) for r, a in polar]


def _colours(chance: random.Random) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """A background and an ink that differ well in one channel at least."""
    while True:
        background, ink = (tuple(chance.randrange(256) for _ in range(3)) for _ in range(2))
        if max(abs(a - b) for a, b in zip(background, ink, strict=True)) >= 90:
            return background, ink


def examples(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """So many pictures (count, 1, 32, 32), and their labels' numbers."""
    chance = random.Random(seed)
    labels = [index % len(LABELS) for index in range(count)]
    rows = [pixels(draw(LABELS[label], chance)) for label in labels]
    return torch.from_numpy(np.stack(rows)[:, None]), torch.tensor(labels)


class Net(torch.nn.Module):
    """(n, 1, 32, 32) -> (n, 5)"""

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for before, after in ((1, 12), (12, 24), (24, 40)):
            layers += [torch.nn.Conv2d(before, after, 3, padding=1), torch.nn.BatchNorm2d(after)]
            layers += [torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
        self.layers = torch.nn.Sequential(
            *layers, torch.nn.Flatten(), torch.nn.Dropout(0.2), torch.nn.Linear(40 * 4 * 4, len(LABELS))
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(pictures)
        return logits


def accuracy(net: Net, pictures: torch.Tensor, labels: torch.Tensor) -> tuple[float, Counter]:
    """The share that is right, and how often each label was taken for each."""
    net.eval()
    with torch.no_grad():
        said = torch.cat([net(part).argmax(dim=1) for part in pictures.split(500)])
    pairs = Counter(zip(labels.tolist(), said.tolist(), strict=True))
    return float((said == labels).float().mean()), pairs


def train() -> tuple[Net, list[float]]:
    """The net of the epoch that was best on the validation pictures, and the accuracy after each."""
    torch.manual_seed(0)
    net = Net()
    pictures, labels = examples(TRAINING, seed=1)
    checked = examples(VALIDATION, seed=2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=EPOCHS * (TRAINING // 100))
    found, best = [], net.state_dict()
    for _ in range(EPOCHS):
        net.train()
        for part in torch.randperm(TRAINING).split(100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(pictures[part]), labels[part]).backward()
            optimizer.step()
            schedule.step()
        found.append(accuracy(net, *checked)[0])
        print(f"validation accuracy {found[-1]:.4f}", flush=True)
        if found[-1] == max(found):
            best = {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(best)
    return net.eval(), found


def export(net: Net, path: Path) -> None:
    """Write the net as ONNX; the number of pictures is open."""
    batch = torch.export.Dim("batch", min=1, max=10_000)
    program = torch.onnx.export(
        net,
        (torch.zeros(2, 1, SIDE, SIDE),),
        dynamo=True,
        input_names=["pictures"],
        output_names=["logits"],
        dynamic_shapes=({0: batch},),
    )
    program.save(str(path), external_data=False)


def declare(path: Path) -> str:
    """Write the artifact's digest and size into the manifest. Returns the digest."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    manifest["artifacts"] = {"onnx": {"file": path.name, "sha256": digest, "bytes": len(content)}}
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return digest


def card(digest: str, found: list[float], right: float, pairs: Counter) -> str:
    """MODEL_CARD.md."""
    head = " | ".join(f"said {label}" for label in LABELS)
    rows = [
        f"| is {label} | " + " | ".join(str(pairs[index, other]) for other in range(len(LABELS))) + " |"
        for index, label in enumerate(LABELS)
    ]
    epochs = [f"| {number} | {value:.4f} |" for number, value in enumerate(found, 1)]
    return "\n".join(
        [
            "# Model card: shapes",
            "",
            "Written by `training/train.py`; do not edit.",
            "",
            "Tells which of five shapes a picture shows: circle, cross, square, star or triangle. `confidence` is",
            "the model's probability of the label.",
            "",
            f"shapes.onnx: SHA-256 `{digest}`. Trained with torch {torch.__version__.partition('+')[0]}.",
            "",
            "## Held-out pictures",
            "",
            f"Used for nothing but this table: {HELD_OUT} pictures, drawn by the same program with another seed.",
            "",
            f"**Accuracy {right:.4f}** (always saying one label would give {1 / len(LABELS):.2f}).",
            "",
            f"| | {head} |",
            "|---" * (len(LABELS) + 1) + "|",
            *rows,
            "",
            "## Data",
            "",
            f"{TRAINING} pictures to train with, {VALIDATION} to choose the epoch, all drawn by `training/train.py`:",
            "one shape of any size, place, angle and colour, filled or as a line, on one colour, with blur, noise",
            "and uneven light. No picture was downloaded.",
            "",
            "| epoch | accuracy on the validation pictures |",
            "|---|---|",
            *epochs,
            "",
            "## Limits",
            "",
            "The accuracy is that on drawings of this one program: it says nothing of photographs or of drawings by",
            "hand, which it has never seen. A picture with another shape, several or none gets one of the five labels",
            "all the same, often with a high confidence. It sees 32 x 32 pixels of how far colours are from the",
            "edge's. It is a demonstration.",
            "",
        ]
    )


def main() -> None:
    torch.set_num_threads(1)  # the same sums on each machine
    net, found = train()
    right, pairs = accuracy(net, *examples(HELD_OUT, seed=3))
    print(f"held-out accuracy {right:.4f}")
    path = FOLDER / "shapes.onnx"
    export(net, path)
    text = card(declare(path), found, right, pairs)
    (FOLDER / "MODEL_CARD.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
