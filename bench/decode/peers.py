"""`python peers.py <peer> <folder> <full|shrunk> <images> <lanes> [pixels file]`: one peer of the decode benchmark.

The task: JPEGs held in memory to 224 x 224, short side to 256, bilinear and antialiased, centre crop, by `lanes` threads: Pillow
and turbojpeg give the interpreter's lock up. Only the crop is resampled (`box`): it has the pixels of resizing and then
cropping. Ends with a line of JSON. `reference` writes float64 pixels instead: decoded whole, resampled in floating point.
"""

import io
import json
import os
import resource
import sys
import threading
import time

import numpy
import simplejpeg
from PIL import Image

SIDE = 224
SHORT = 256


def crop_box(width, height, of_width, of_height):
    """The crop's place in an image of width x height that was loaded of one of of_width x of_height."""
    if of_width <= of_height:
        size = (SHORT, int(SHORT * of_height / of_width))
    else:
        size = (int(SHORT * of_width / of_height), SHORT)
    left, top = (int(round((side - SIDE) / 2.0)) for side in size)
    across, down = width / size[0], height / size[1]
    return left * across, top * down, (left + SIDE) * across, (top + SIDE) * down


def pillow(encoded, shrunk):
    image = Image.open(io.BytesIO(encoded))
    width, height = image.size
    if shrunk:
        image.draft("RGB", (SHORT, SHORT))
    box = crop_box(*image.size, width, height)
    return numpy.asarray(image.resize((SIDE, SIDE), Image.BILINEAR, box=box))


def turbojpeg(encoded, shrunk):
    height, width, _, _ = simplejpeg.decode_jpeg_header(encoded)
    least = SHORT if shrunk else 0
    pixels = simplejpeg.decode_jpeg(encoded, "RGB", min_height=least, min_width=least)
    image = Image.fromarray(pixels)
    return numpy.asarray(image.resize((SIDE, SIDE), Image.BILINEAR, box=crop_box(*image.size, width, height)))


def reference(encoded, _):
    image = Image.open(io.BytesIO(encoded))
    box = crop_box(*image.size, *image.size)
    bands = [band.convert("F").resize((SIDE, SIDE), Image.BILINEAR, box=box) for band in image.split()]
    return numpy.stack([numpy.asarray(band) for band in bands], axis=-1).astype(numpy.float64)


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
