"""Trains a student for `sluice train student … --command 'python examples/pytorch/train.py'`: pre-trains on the version's shards, fine-tunes on
the labelled pictures with balanced classes, exports ONNX with its model card. Resumes from $SLUICE_WORK. Needs torch, numpy, pillow, onnx and,
from PyTorch 2.9 on, onnxscript: pip install torch numpy pillow onnx onnxscript

What --training-config may say: {"pretrain_epochs": 10, "finetune_epochs": 30, "batch": 64, "lr": 0.05, "finetune_lr": 0.005, "width": 32}"""

import hashlib
import io
import json
import os
import random
import signal
import sys
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

IN, OUT, WORK = (Path(os.environ[name]) for name in ("SLUICE_IN", "SLUICE_OUT", "SLUICE_WORK"))
CONFIG = json.loads((IN / "config.json").read_text())
GIVEN = {"pretrain_epochs": 10, "finetune_epochs": 30, "batch": 64, "lr": 0.05, "finetune_lr": 0.005, "width": 32}
GIVEN |= CONFIG["configuration"]
WIDTH, HEIGHT = CONFIG["input"]["width"], CONFIG["input"]["height"]
GREY = CONFIG["input"].get("colour", "rgb") == "grey"
CLASSES = len(CONFIG["labels"])


def say(**message):
    print(json.dumps(message), flush=True)


def pixels(picture: bytes) -> np.ndarray:
    """As the card below says: turned by EXIF, stretched, bilinear. u8, [channels x height x width]"""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(picture))).convert("L" if GREY else "RGB")
    values = np.asarray(image.resize((WIDTH, HEIGHT), Image.BILINEAR), dtype=np.uint8)
    return values[None] if GREY else values.transpose(2, 0, 1)


def read(pictures):
    """(class, encoded picture) of each → tensors; a picture that does not decode costs only itself"""
    values, labels = [], []
    for label, picture in pictures:
        try:
            values.append(pixels(picture))
            labels.append(label)
        except (OSError, ValueError) as error:
            print(f"left out a picture: {error}", file=sys.stderr)
    return torch.from_numpy(np.stack(values)), torch.tensor(labels)


def labelled():
    for line in (IN / "labelled.jsonl").read_text().splitlines():
        row = json.loads(line)
        yield row["class"], Path(row["path"]).read_bytes()


def version():
    for shard in sorted((IN / "shards").glob("*.tar")):
        with tarfile.open(shard) as members:
            parts = {}
            for member in members:
                name, _, part = Path(member.name).name.partition(".")
                parts.setdefault(name, {})[part] = members.extractfile(member).read()
        for sample in parts.values():
            picture = next(content for part, content in sample.items() if part not in ("cls", "json"))
            yield int(sample["cls"]), picture


class Net(nn.Module):
    """Normalised pixels in, logits out; mean and deviation are in the card"""

    def __init__(self, width):
        super().__init__()
        layers, channels = [], 1 if GREY else 3
        for depth in range(3):
            layers += [nn.Conv2d(channels, width << depth, 3, padding=1), nn.BatchNorm2d(width << depth), nn.ReLU(), nn.MaxPool2d(2)]
            channels = width << depth
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))

    def forward(self, x):
        return self.layers(x)


def batches(labels, size, generator, balanced):
    """Rows of one epoch's batches; balanced: every class as often as any other, however many pictures it has"""
    if balanced:
        weights = 1.0 / torch.bincount(labels, minlength=CLASSES).clamp(min=1).float()
        order = torch.multinomial(weights[labels], len(labels), replacement=True, generator=generator)
    else:
        order = torch.randperm(len(labels), generator=generator)
    return order.split(size)


def train(phase, model, images, labels, epochs, rate, normalise, balanced):
    """From this phase's checkpoint, where there is one"""
    checkpoint = WORK / f"{phase}.pt"
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4, nesterov=True)
    steps = epochs * -(-len(labels) // GIVEN["batch"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    generator = torch.Generator().manual_seed(CONFIG["seed"])
    begin, step = 0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        generator.set_state(state["generator"])
        begin, step = state["epoch"], state["step"]
    for epoch in range(begin, epochs):
        model.train()
        for rows in batches(labels, GIVEN["batch"], generator, balanced):
            if len(rows) < 2:
                continue
            loss = nn.functional.cross_entropy(model(normalise(images[rows])), labels[rows])
            if not torch.isfinite(loss):
                sys.exit(f"the loss ran away in {phase} at step {step}: lower lr")
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            step += 1
            say(phase=phase, step=step, steps=steps, loss=loss.item())
        state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
        state |= {"generator": generator.get_state(), "epoch": epoch + 1, "step": step}
        partial = checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(checkpoint)


def describe(path: Path) -> dict:
    content = path.read_bytes()
    return {"path": path.name, "sizeBytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    random.seed(CONFIG["seed"])
    torch.manual_seed(CONFIG["seed"])
    torch.use_deterministic_algorithms(True, warn_only=True)
    few, few_labels = read(labelled())
    many, many_labels = read(version()) if "version" in CONFIG else (few, few_labels)
    scaled = many.float() / 255
    mean = scaled.mean((0, 2, 3))
    std = scaled.std((0, 2, 3)).clamp(min=1 / 255)
    normalise = lambda batch: (batch.float() / 255 - mean[:, None, None]) / std[:, None, None]
    model = Net(GIVEN["width"])
    train("pre-train", model, many, many_labels, GIVEN["pretrain_epochs"], GIVEN["lr"], normalise, False)
    if "version" in CONFIG:
        train("fine-tune", model, few, few_labels, GIVEN["finetune_epochs"], GIVEN["finetune_lr"], normalise, True)

    model.eval()
    with torch.no_grad():
        right = (model(normalise(few)).argmax(1) == few_labels).float().mean().item()
    (OUT / "metrics.json").write_text(json.dumps({"accuracy on the labelled pictures": right}))
    example = torch.zeros(1, 1 if GREY else 3, HEIGHT, WIDTH)
    torch.onnx.export(
        model, example, str(OUT / "model.onnx"), input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )
    # PyTorch from 2.9 on writes the weights into a file of their own.
    files = [describe(path) for path in (OUT / "model.onnx", OUT / "model.onnx.data") if path.exists()]
    card = {
        "schemaVersion": 1,
        "name": CONFIG["name"],
        "format": "onnx",
        "weights": {"files": files, "sha256": hashlib.sha256("\n".join(file["sha256"] for file in files).encode()).hexdigest()},
        "input": {"width": WIDTH, "height": HEIGHT, "layout": "NCHW", "colour": "grey" if GREY else "rgb"},
        "resize": {"kernel": "linear", "mode": "stretch"},
        "normalise": {"mean": mean.tolist(), "std": std.tolist()},
        "output": {"kind": "logits", "name": "logits"},
        "labels": CONFIG["labels"],
    }
    (OUT / "model-card.json").write_text(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()
