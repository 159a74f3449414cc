"""`python peers.py <peer> <model.onnx> <pixels file> <workers> <batch> <images>`: one peer of the score benchmark.

The task: u8 pixels [n, 224, 224, 3] to logits, `batch` at once, by `workers` threads that each have a session of one intra-op
thread. onnxruntime gives the interpreter's lock up while it runs, and numpy while it computes: threads need no copies between
processes. Ends with a line of JSON.
"""

import json
import resource
import sys
import threading
import time

import numpy
import onnxruntime

MEAN = numpy.array([0.485, 0.456, 0.406], numpy.float32)
STD = numpy.array([0.229, 0.224, 0.225], numpy.float32)
SCALE = (1 / (255 * STD)).reshape(1, 3, 1, 1).astype(numpy.float32)
SHIFT = (-MEAN / STD).reshape(1, 3, 1, 1).astype(numpy.float32)
SIDE = 224


def tensor_of(pixels, out):
    """One pass that converts and scales, one that shifts, into memory that is used again: the fastest of those tried."""
    numpy.multiply(pixels.transpose(0, 3, 1, 2), SCALE, out=out)
    numpy.add(out, SHIFT, out=out)
    return out


def main():
    peer, model, path = sys.argv[1:4]
    workers, batch, images = (int(arg) for arg in sys.argv[4:7])
    pixels = numpy.fromfile(path, numpy.uint8).reshape(-1, batch, SIDE, SIDE, 3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    sessions = [
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]) for _ in range(workers)
    ]
    name = sessions[0].get_inputs()[0].name
    ready = None
    if peer == "run only":
        ready = [tensor_of(part, numpy.empty((batch, 3, SIDE, SIDE), numpy.float32)) for part in pixels]

    def run(runs):
        lock = threading.Lock()
        state = {"next": 0, "sum": 0.0, "values": 0}

        def lane(session):
            out = numpy.empty((batch, 3, SIDE, SIDE), numpy.float32)
            while True:
                with lock:
                    at = state["next"]
                    state["next"] += 1
                if at >= runs:
                    return
                part = at % len(pixels)
                tensor = ready[part] if ready else tensor_of(pixels[part], out)
                logits = session.run(None, {name: tensor})[0]
                with lock:
                    state["sum"] += float(numpy.abs(logits[:, 0]).sum(dtype=numpy.float64))
                    state["values"] += batch

        threads = [threading.Thread(target=lane, args=(session,)) for session in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return state["sum"] / state["values"]

    run(len(pixels))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu_start, start = usage.ru_utime + usage.ru_stime, time.perf_counter()
    mean = run(images // batch)
    seconds = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime - cpu_start
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpuSeconds": cpu,
                "imagesPerSecond": images / seconds,
                "imagesPerCpuSecond": images / cpu,
                "meanLogit": mean,
            }
        )
    )


main()
