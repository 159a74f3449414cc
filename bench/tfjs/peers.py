"""`python peers.py make <folder>`: MobileNetV2 with random weights, as a SavedModel.
`python peers.py score <folder> <pixels file> <workers> <batch> <images>`: TensorFlow's own time for the tfjs benchmark.

The task: u8 pixels [n, 224, 224, 3] to logits, `batch` at once, by `workers` processes of one intra-op and one inter-op thread, as
the engine has them. The signature is called with a constant: predict() of Keras is slower. Ends with a line of JSON.
"""

import json
import multiprocessing
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
SIDE = 224


def make(folder):
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    model = tf.keras.applications.MobileNetV2(weights=None, classes=1000, classifier_activation=None)
    # Batch norms of a fresh network do nothing, and its activations fade to 1e-12: they take the statistics of one batch.
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(tf.random.normal((8, SIDE, SIDE, 3)), training=True)
    model.export(folder, format="tf_saved_model")
    print(json.dumps({"files": 1}))


def work(folder, path, batch, images, begin, results):
    import numpy
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    mean = numpy.array([0.485, 0.456, 0.406], numpy.float32)
    std = numpy.array([0.229, 0.224, 0.225], numpy.float32)
    scale, shift = (1 / (255 * std)).astype(numpy.float32), -mean / std
    pixels = numpy.fromfile(path, numpy.uint8).reshape(-1, batch, SIDE, SIDE, 3)
    function = tf.saved_model.load(folder).signatures["serving_default"]
    name = list(function.structured_input_signature[1])[0]
    tensor = numpy.empty((batch, SIDE, SIDE, 3), numpy.float32)

    def run(runs):
        total = 0.0
        for at in range(runs):
            numpy.multiply(pixels[at % len(pixels)], scale, out=tensor)
            numpy.add(tensor, shift, out=tensor)
            logits = next(iter(function(**{name: tf.constant(tensor)}).values())).numpy()
            total += float(numpy.abs(logits[:, 0]).sum(dtype=numpy.float64))
        return total / (runs * batch)

    run(len(pixels))
    begin.wait()
    cpu_start, start = time.process_time(), time.time()
    logit = run(images // batch)
    results.put((start, time.time(), time.process_time() - cpu_start, logit))


def score(folder, path, workers, batch, images):
    context = multiprocessing.get_context("spawn")
    begin, results = context.Barrier(workers), context.SimpleQueue()
    share = images // workers
    processes = [
        context.Process(target=work, args=(folder, path, batch, share, begin, results)) for _ in range(workers)
    ]
    for process in processes:
        process.start()
    starts, ends, cpus, logits = zip(*(results.get() for _ in processes))
    for process in processes:
        process.join()
    seconds = max(ends) - min(starts)
    measures = {
        "seconds": seconds,
        "cpuSeconds": sum(cpus),
        "imagesPerSecond": share * workers / seconds,
        "imagesPerCpuSecond": share * workers / sum(cpus),
        "meanLogit": sum(logits) / workers,
    }
    print(json.dumps(measures))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        score(sys.argv[2], sys.argv[3], *(int(arg) for arg in sys.argv[4:7]))
