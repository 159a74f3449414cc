"""python read.py <sluice_loader | unchecked | webdataset> <folder of sluice_loader> <folder of a version> <epochs>: reads all samples, as one process."""

import glob
import json
import os
import sys
import time

who, package, folder, epochs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])


def ours(check):
    sys.path.insert(0, package)
    from sluice_loader import Loader, Shards

    shards = Shards.folder(folder, check=check)
    for epoch in range(epochs):
        for sample in Loader(shards, seed=1, epoch=epoch):
            yield len(sample["jpg"]), sample["cls"], sample["json"]["sha256"]


def theirs():
    import webdataset

    shards = sorted(glob.glob(os.path.join(folder, "shards", "*.tar")))
    for _ in range(epochs):
        # The same order: shuffled over the shards, and within a buffer.
        samples = webdataset.WebDataset(shards, shardshuffle=len(shards)).shuffle(2000).decode()
        for sample in samples:
            yield len(sample["jpg"]), sample["cls"], sample["json"]["sha256"]


begin, cpu = time.perf_counter(), time.process_time()
count, size, names = 0, 0, set()
for bytes_, _, sha256 in ours(who == "sluice_loader") if who != "webdataset" else theirs():
    count, size = count + 1, size + bytes_
    names.add(sha256)
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "cpuSeconds": time.process_time() - cpu, "samplesPerSecond": count / seconds, "samples": count, "images": len(names), "readBytes": size}))
