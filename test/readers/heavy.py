"""Reads a version by the training libraries: heavy.py <folder> <expected.json>"""

import glob
import io
import json
import os
import sys
import tarfile
import tempfile

folder, expected_path = sys.argv[1:]
os.environ["HF_HOME"] = tempfile.mkdtemp()
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import datasets
import numpy
import tensorflow
import torch
import webdataset
from expectation import Expectation, check, finish
from PIL import Image

datasets.disable_progress_bars()
expected = Expectation(expected_path)
shards = sorted(glob.glob(f"{folder}/shards/*.tar"))


def in_one(batches):
    return [sample for batch in batches for sample in batch]


def torch_webdataset(workers):
    samples = webdataset.WebDataset(shards, shardshuffle=len(shards)).shuffle(100).decode("torchrgb").to_tuple("jpg", "cls", "json")
    loader = torch.utils.data.DataLoader(samples, batch_size=16, num_workers=workers, collate_fn=list)
    return expected.samples((label, about, None, image.shape[:0:-1]) for image, label, about in in_one(loader))


def torch_datasets(workers):
    found = datasets.load_dataset(folder, split="train")
    loader = torch.utils.data.DataLoader(found, batch_size=16, num_workers=workers, collate_fn=list)
    return expected.samples((row["cls"], row["json"], None, row["jpg"].size) for row in in_one(loader))


def torch_streaming(workers):
    found = datasets.load_dataset(folder, split="train", streaming=True).with_format("torch")
    loader = torch.utils.data.DataLoader(found, batch_size=16, num_workers=workers, collate_fn=list)
    return expected.samples((row["cls"], row["json"], None, row["jpg"].shape[:0:-1] if row["jpg"].ndim == 3 else row["jpg"].shape[::-1]) for row in in_one(loader))


def tensorflow_data():
    """The tar by Python, pictures by Pillow, batches by tf.data."""

    def samples(shard):
        with tarfile.open(shard.decode()) as archive:
            sample = {}
            for member in archive:
                sample[member.name.split(".")[1]] = archive.extractfile(member).read()
                if len(sample) == 3:
                    picture = Image.open(io.BytesIO(sample["jpg"])).convert("RGB")
                    yield numpy.asarray(picture).reshape(-1, 3), picture.size, int(sample["cls"]), sample["json"]
                    sample = {}

    kinds = (
        tensorflow.TensorSpec((None, 3), tensorflow.uint8),
        tensorflow.TensorSpec((2,), tensorflow.int32),
        tensorflow.TensorSpec((), tensorflow.int64),
        tensorflow.TensorSpec((), tensorflow.string),
    )
    found = (
        tensorflow.data.Dataset.from_tensor_slices(shards)
        .shuffle(len(shards))
        .interleave(
            lambda shard: tensorflow.data.Dataset.from_generator(samples, output_signature=kinds, args=(shard,)),
            cycle_length=4,
            num_parallel_calls=tensorflow.data.AUTOTUNE,
        )
        .batch(16)
    )
    return expected.samples(
        (label, json.loads(about), None, size)
        for _, sizes, labels, abouts in found.as_numpy_iterator()
        for size, label, about in zip(sizes.tolist(), labels, abouts)
    )


def tensorflow_records():
    """The export tfrecord, as its card says."""
    card = open(f"{os.path.dirname(expected_path)}/exports/tfrecord/README.md").read()
    named = {"tf": tensorflow}
    exec(card.split("features = ")[1].split("\nrecords")[0].join(["features = ", ""]), named)
    files = sorted(glob.glob(f"{os.path.dirname(expected_path)}/exports/tfrecord/records/*.tfrecord"))
    found = tensorflow.data.TFRecordDataset(files).map(lambda one: tensorflow.io.parse_single_example(one, named["features"]))
    rounded = {(row["class"], row["sha256"]): row for row in expected.kept}

    def samples():
        for one in found.as_numpy_iterator():
            about = {name: value.decode() if isinstance(value, bytes) else value.item() for name, value in one.items() if name != "image"}
            row = rounded[about["class"], about["sha256"]]
            for name in ["key", "probability"]:
                assert numpy.float32(row[name]) == numpy.float32(about[name]), name
            yield about["class"], {**about, "key": row["key"], "probability": row["probability"]}, one["image"], None

    return expected.samples(samples())


for workers in (0, 2, len(shards)):
    check(f"torch {torch.__version__}, webdataset {webdataset.__version__}, {workers} workers", lambda: torch_webdataset(workers))
    check(f"torch {torch.__version__}, datasets {datasets.__version__}, {workers} workers", lambda: torch_datasets(workers))
    check(f"torch {torch.__version__}, datasets streaming, {workers} workers", lambda: torch_streaming(workers))
check(f"tf.data {tensorflow.__version__}", tensorflow_data)
check("tf.data, the export tfrecord", tensorflow_records)
finish()
