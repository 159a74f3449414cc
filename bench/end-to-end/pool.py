"""`python pool.py <model> <folder> <workers> <parquet file>`: the pipeline by hand, with multiprocessing.

Each process decodes and scores whole batches with a session of its own, so that no pixels cross between processes and both
cores are always busy; the parent archives and selects. Timed from when all have loaded the model.
"""

import multiprocessing
import sys
import time

import steps


def work(model, batches, results):
    teacher = steps.Teacher(model)
    results.put(None)
    while True:
        paths = batches.get()
        if paths is None:
            return
        results.put((paths, *teacher.score_files(paths)))


def main():
    model, folder, workers, path = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    context = multiprocessing.get_context("spawn")
    batches, results = context.Queue(), context.SimpleQueue()
    processes = [context.Process(target=work, args=(model, batches, results)) for _ in range(workers)]
    for process in processes:
        process.start()
    for _ in processes:
        results.get()
    cpu_start, start = steps.tree_cpu_seconds(), time.perf_counter()
    files = steps.jpegs(folder)
    for at in range(0, len(files), steps.BATCH):
        batches.put(files[at : at + steps.BATCH])
    archive = steps.Archive(path)
    while archive.rows < len(files):
        archive.add(*results.get())
    selected = archive.finish()
    seconds, cpu = time.perf_counter() - start, steps.tree_cpu_seconds() - cpu_start
    for _ in processes:
        batches.put(None)
    for process in processes:
        process.join()
    steps.report(len(files), seconds, cpu, selected)


if __name__ == "__main__":
    main()
