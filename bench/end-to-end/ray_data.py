"""`python ray_data.py <model> <folder> <workers> <parquet file> <one|two>`: the pipeline with Ray Data, in one or two stages.

In one, actors decode and score, so that no pixels go through the object store. In two, tasks decode before actors score, as Ray's
guide to offline batch inference has it. Ray is told of twice the cores: with the true number, actors on every core leave none to feed them. Timed from when
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
        if "pixels" in batch:
            classes, probabilities = self.teacher.score(batch["pixels"])
        else:
            classes, probabilities = self.teacher.score_files(paths)
        ready = numpy.full(len(paths), self.ready)
        return {"path": batch["path"], "classes": classes, "probabilities": probabilities, "ready": ready}


def decode(batch):
    return {"path": batch["path"], "pixels": numpy.stack([steps.decode(path) for path in batch["path"]])}


def main():
    model, folder, workers, path = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    ray.init(num_cpus=2 * workers, include_dashboard=False, log_to_driver=False, configure_logging=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    files = steps.jpegs(folder)
    cpu_start = steps.tree_cpu_seconds()
    blocks = max(workers, len(files) // (4 * steps.BATCH))
    listed = ray.data.from_items([{"path": file} for file in files], override_num_blocks=blocks)
    if sys.argv[5] == "two":
        listed = listed.map_batches(decode, batch_size=steps.BATCH)
    scored = listed.map_batches(
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
