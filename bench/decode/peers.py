"""`python peers.py <peer> <folder> <full|shrunk> <images> <lanes> [pixels file]`: one peer of the decode benchmark.

The task: JPEGs held in memory to 224 x 224, by `lanes` threads: Pillow and turbojpeg give the interpreter's lock up. Ends with a line of JSON. `reference` writes float64 pixels instead: decoded whole, resampled in floating point.
"""

import json
import os
import resource
import sys
import threading
import time

import numpy
from jpeg import pillow, reference, turbojpeg

PEERS = {"pillow": pillow, "turbojpeg": turbojpeg, "reference": reference}


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    peer, folder, way = sys.argv[1:4]
    images, lanes = int(sys.argv[4]), int(sys.argv[5])
    decode, shrunk = PEERS[peer], way == "shrunk"
    names = sorted(
        os.path.relpath(os.path.join(at, name), folder)
        for at, _, files in os.walk(folder)
        for name in files
        if name.endswith(".jpg")
    )
    encoded = [open(os.path.join(folder, name), "rb").read() for name in names]
    if len(sys.argv) > 6:
        numpy.stack([decode(each, shrunk) for each in encoded]).tofile(sys.argv[6])

    def run(count):
        def lane(first):
            for at in range(first, count, lanes):
                decode(encoded[at % len(encoded)], shrunk)

        threads = [threading.Thread(target=lane, args=(first,)) for first in range(lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    run(min(images, len(encoded)))
    cpu_start, start = cpu_seconds(), time.perf_counter()
    run(images)
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu_start
    measures = {
        "seconds": seconds,
        "cpuSeconds": cpu,
        "imagesPerSecond": images / seconds,
        "imagesPerCpuSecond": images / cpu,
    }
    print(json.dumps(measures))


main()
