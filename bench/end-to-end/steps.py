"""What the Python entrants of the end-to-end benchmark have in common: decode, score, archive, select.

The decoder is the fastest of the decode benchmark's, the tensor is made as in the score benchmark, and softmax and ranking are
numpy's, a batch at once.
"""

import json
import os
import sys

import numpy
import onnxruntime
import pyarrow
import pyarrow.parquet

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "decode"))
from jpeg import turbojpeg  # noqa: E402

MEAN = numpy.array([0.485, 0.456, 0.406], numpy.float32)
STD = numpy.array([0.229, 0.224, 0.225], numpy.float32)
SCALE = (1 / (255 * STD)).astype(numpy.float32).reshape(3, 1, 1)
SHIFT = (-MEAN / STD).reshape(3, 1, 1)
SIDE = 224
BATCH = 16
TOP_M = 32
"""Images a class, and how many of an image's classes it may be chosen for"""
K = 100
P = 10

SCHEMA = pyarrow.schema(
    [
        ("path", pyarrow.string()),
        ("classes", pyarrow.list_(pyarrow.uint16(), TOP_M)),
        ("probabilities", pyarrow.list_(pyarrow.float32(), TOP_M)),
    ]
)


def jpegs(folder):
    return sorted(
        os.path.join(at, name) for at, _, files in os.walk(folder) for name in files if name.endswith(".jpg")
    )


def decode(path):
    """u8, [224, 224, 3]"""
    with open(path, "rb") as file:
        return turbojpeg(file.read(), True)


class Teacher:
    """One session of one intra-op thread, and the tensor that it is fed from, used again for every batch."""

    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.tensor = numpy.zeros((BATCH, 3, SIDE, SIDE), numpy.float32)
        self.session.run(None, {self.input: self.tensor})

    def score_files(self, paths):
        """Classes (u16) and probabilities (float32) of the files, [n, 32] each, best first."""
        return self.score(decode(path) for path in paths)

    def score(self, images):
        """Classes and probabilities of at most a batch of decoded images, u8 [224, 224, 3] each."""
        count = 0
        for pixels in images:
            tensor = self.tensor[count]
            numpy.multiply(pixels.transpose(2, 0, 1), SCALE, out=tensor)
            numpy.add(tensor, SHIFT, out=tensor)
            count += 1
        logits = self.session.run(None, {self.input: self.tensor[:count]})[0]
        exponentials = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        some = numpy.argpartition(logits, -TOP_M, axis=1)[:, -TOP_M:]
        order = numpy.argsort(-numpy.take_along_axis(logits, some, 1), axis=1)
        classes = numpy.take_along_axis(some, order, 1)
        probabilities = numpy.take_along_axis(exponentials, classes, 1) / exponentials.sum(axis=1, keepdims=True)
        return classes.astype(numpy.uint16), probabilities.astype(numpy.float32)


class Archive:
    """Writes rows as Parquet, 2048 a row group, and selects of every class the K best."""

    def __init__(self, path):
        self.writer = pyarrow.parquet.ParquetWriter(path, SCHEMA, compression="none", use_dictionary=False)
        self.waiting = []
        self.waiting_rows = 0
        self.candidates = []
        self.rows = 0

    def add(self, paths, classes, probabilities):
        lists = [
            pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.reshape(-1)), TOP_M)
            for values in (classes, probabilities)
        ]
        self.waiting.append(pyarrow.record_batch([pyarrow.array(paths, pyarrow.string()), *lists], schema=SCHEMA))
        self.waiting_rows += len(paths)
        images = numpy.arange(self.rows, self.rows + len(paths))
        self.rows += len(paths)
        self.candidates.append(
            (classes[:, :P].reshape(-1), probabilities[:, :P].reshape(-1), numpy.repeat(images, P))
        )
        if self.waiting_rows >= 2048:
            self.flush()

    def flush(self):
        if self.waiting:
            self.writer.write_table(pyarrow.Table.from_batches(self.waiting))
        self.waiting, self.waiting_rows = [], 0

    def finish(self):
        """Closes the file; returns how many images were selected, over all classes."""
        self.flush()
        self.writer.close()
        classes, probabilities, images = (numpy.concatenate(each) for each in zip(*self.candidates))
        order = numpy.lexsort((images, -probabilities, classes))
        sizes = numpy.bincount(classes[order])
        first = numpy.repeat(numpy.cumsum(sizes) - sizes, sizes)
        selected = order[numpy.arange(len(order)) - first < K]
        return len(images[selected])


def tree_cpu_seconds():
    """CPU seconds of this process and of all below it that still live (Linux)."""
    ticks = os.sysconf("SC_CLK_TCK")
    parents, spent = {}, {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        parents[int(name)] = int(fields[1])
        # The process's own time, and that of the children that it has waited for
        spent[int(name)] = sum(int(field) for field in fields[11:15]) / ticks

    def below(pid):
        while pid in parents:
            if pid == os.getpid():
                return True
            pid = parents[pid]
        return False

    return sum(seconds for pid, seconds in spent.items() if below(pid))


def report(images, seconds, cpu, selected):
    measures = {
        "seconds": seconds,
        "imagesPerSecond": images / seconds,
        "cpuSeconds": cpu,
        "images": images,
        "selected": selected,
    }
    print(json.dumps(measures))
    sys.stdout.flush()
