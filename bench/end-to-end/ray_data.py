"""`python ray_data.py <model> <folder> <workers> <parquet file>`: the pipeline with Ray Data.

Decoding and scoring are one stage of actors, so that no pixels go through the object store: faster than a stage of decoding
tasks before them. Ray is told of twice the cores: with the true number, actors on every core leave none to feed them. Timed from when
the first actor has loaded the model, so that Ray's start does not count.
"""

import os
import sys
import time

os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
import numpy  # noqa: E402
import ray  # noqa: E402
import ray.data  # noqa: E402
import steps  # noqa: E402


class Scorer:
    def __init__(self, model):
        self.teacher = steps.Teacher(model)
        self.ready = time.time()

    def __call__(self, batch):
        paths = list(batch["path"])
        classes, probabilities = self.teacher.score_files(paths)
        ready = numpy.full(len(paths), self.ready)
        return {"path": batch["path"], "classes": classes, "probabilities": probabilities, "ready": ready}


def main():
    model, folder, workers, path = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    ray.init(num_cpus=2 * workers, include_dashboard=False, log_to_driver=False, configure_logging=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    files = steps.jpegs(folder)
    cpu_start = steps.tree_cpu_seconds()
    blocks = max(workers, len(files) // (4 * steps.BATCH))
    scored = ray.data.from_items([{"path": file} for file in files], override_num_blocks=blocks).map_batches(
        Scorer,
        fn_constructor_args=(model,),
        batch_size=steps.BATCH,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    archive = steps.Archive(path)
    start = numpy.inf
    for batch in scored.iter_batches(batch_size=None, batch_format="numpy"):
        start = min(start, batch["ready"].min())
        archive.add(list(batch["path"]), numpy.stack(batch["classes"]), numpy.stack(batch["probabilities"]))
    selected = archive.finish()
    steps.report(len(files), time.time() - start, steps.tree_cpu_seconds() - cpu_start, selected)
    ray.shutdown()


if __name__ == "__main__":
    main()
