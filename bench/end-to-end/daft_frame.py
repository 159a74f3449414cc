"""`python daft_frame.py <model> <folder> <workers> <parquet file>`: the pipeline with Daft.

Decoding and scoring are one function in processes of its own: faster than Daft's own decoding, which resizes without
antialiasing besides, before it. Timed from when the first process has loaded the model.
"""

import os
import sys
import time

import numpy
import pyarrow

os.environ["DAFT_PROGRESS_BAR"] = "0"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
import daft  # noqa: E402
import steps  # noqa: E402

ROW = daft.DataType.struct(
    {
        "classes": daft.DataType.fixed_size_list(daft.DataType.uint16(), steps.TOP_M),
        "probabilities": daft.DataType.fixed_size_list(daft.DataType.float32(), steps.TOP_M),
        "ready": daft.DataType.float64(),
    }
)


@daft.udf(return_dtype=ROW, batch_size=steps.BATCH, concurrency=int(sys.argv[3]), use_process=True)
class Scorer:
    def __init__(self, model):
        self.teacher = steps.Teacher(model)
        self.ready = time.time()

    def __call__(self, paths):
        paths = paths.to_pylist()
        classes, probabilities = self.teacher.score_files(paths)
        columns = [
            pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.reshape(-1)), steps.TOP_M)
            for values in (classes, probabilities)
        ]
        ready = pyarrow.array(numpy.full(len(paths), self.ready))
        return pyarrow.StructArray.from_arrays([*columns, ready], ["classes", "probabilities", "ready"])


def main():
    model, folder, path = sys.argv[1], sys.argv[2], sys.argv[4]
    files = steps.jpegs(folder)
    cpu_start = steps.tree_cpu_seconds()
    scorer = Scorer.with_init_args(model)
    frame = daft.from_pydict({"path": files}).with_column("scored", scorer(daft.col("path")))
    archive = steps.Archive(path)
    start = numpy.inf
    for batch in frame.to_arrow_iter():
        row = batch.column(1)
        classes, probabilities, ready = (row.field(name) for name in ("classes", "probabilities", "ready"))
        start = min(start, ready.to_numpy().min())
        tables = [values.values.to_numpy().reshape(-1, steps.TOP_M) for values in (classes, probabilities)]
        archive.add(batch.column(0).to_pylist(), *tables)
    selected = archive.finish()
    steps.report(len(files), time.time() - start, steps.tree_cpu_seconds() - cpu_start, selected)


if __name__ == "__main__":
    main()
