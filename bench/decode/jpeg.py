"""JPEG to 224 x 224 the ways Python does it best: short side to 256, bilinear and antialiased, centre crop.

Only the crop is resampled (`box`): it has the pixels of resizing and then cropping.
"""

import io

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
