"""`python peers.py <peer> <folder> <K> <warm-up folder>`: one peer of the topk benchmark.

The task: of every class the K best images by score, best first. The same is done with the warm-up folder first, and not
counted. Ends with a line of JSON: seconds, cpuSeconds, rows, imageSum.

Each peer reads the format that it reads fastest of Parquet (uncompressed) and Arrow IPC, and uses its fastest query of
those tried: see docs/decisions/003-topk-operator.md.
"""

import json
import os
import resource
import sys
import time

THREADS = 2


def duckdb_window(folder, k):
    return duckdb_rows(
        f"""select class, image, score from
            (select *, row_number() over (partition by class order by score desc, image) as rank
             from '{folder}/rows.parquet')
            where rank <= {k}"""
    )


def duckdb_max_by(folder, k):
    return duckdb_rows(
        f"""select class, unnest(max_by(image, score, {k})) as image, unnest(max(score, {k})) as score
            from '{folder}/rows.parquet' group by class"""
    )


def duckdb_rows(query):
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"set threads = {THREADS}")
    connection.execute("set preserve_insertion_order = false")
    connection.execute(f"create temp table best as {query}")
    return connection.execute("select count(*), sum(image) from best").fetchone()


def polars(folder, k):
    import polars

    best = (
        polars.scan_ipc(f"{folder}/chunks.arrow")
        .group_by("class")
        .agg(polars.col("image", "score").sort_by("score", descending=True).head(k))
        .explode("image", "score")
        .collect(engine="streaming")
    )
    return best.height, best["image"].sum()


def datafusion(folder, k):
    import datafusion
    import pyarrow
    import pyarrow.compute

    context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(THREADS))
    context.register_parquet("rows", f"{folder}/rows.parquet")
    best = pyarrow.Table.from_batches(
        context.sql(
            f"""select class, image, score from
                (select class, image, score, row_number() over (partition by class order by score desc) as rank
                 from rows)
                where rank <= {k}"""
        ).collect()
    )
    return best.num_rows, pyarrow.compute.sum(best["image"]).as_py()


def numpy(folder, k):
    """Streams chunks past thresholds of the classes; cuts what has passed back by argpartition, class by class."""
    import numpy
    import pyarrow
    import pyarrow.ipc

    file = pyarrow.ipc.open_file(pyarrow.memory_map(f"{folder}/chunks.arrow"))
    classes = 1000
    thresholds = numpy.full(classes, -numpy.inf)
    kept = [numpy.empty(0, numpy.int32), numpy.empty(0, numpy.float64), numpy.empty(0, numpy.int64)]
    passed = []
    pending = 0

    def cut(last):
        nonlocal kept, passed, pending
        of, score, image = (numpy.concatenate([kept[i]] + [part[i] for part in passed]) for i in range(3))
        order = numpy.argsort(of.astype(numpy.int16), kind="stable")
        counts = numpy.bincount(of, minlength=classes)
        ends = numpy.cumsum(counts)
        parts = []
        for c in range(classes):
            part = order[ends[c] - counts[c] : ends[c]]
            if counts[c] > k:
                part = part[numpy.argpartition(score[part], counts[c] - k)[counts[c] - k :]]
            if len(part) == k:
                thresholds[c] = score[part].min()
            if last:
                part = part[numpy.argsort(-score[part])]
            parts.append(part)
        order = numpy.concatenate(parts)
        kept = [of[order], score[order], image[order]]
        passed = []
        pending = 0

    for i in range(file.num_record_batches):
        batch = file.get_batch(i)
        image, of, score = (batch.column(j).to_numpy() for j in range(3))
        above = numpy.flatnonzero(score >= thresholds[of])
        passed.append((of[above], score[above], image[above]))
        pending += len(above)
        if pending > max(1 << 20, len(kept[0]) // 2):
            cut(False)
    cut(True)
    return len(kept[0]), kept[2].sum()


def prepare(folder, _):
    """Writes what the peers read: rows.parquet and chunks.arrow, from rows.arrow."""
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet

    source = pyarrow.ipc.open_file(pyarrow.memory_map(f"{folder}/rows.arrow"))
    table = source.read_all().combine_chunks()
    pyarrow.parquet.write_table(
        table,
        f"{folder}/rows.parquet",
        row_group_size=491_520,
        compression="none",
        use_dictionary=["class"],
    )
    with pyarrow.ipc.new_file(f"{folder}/chunks.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=1 << 18)
    return table.num_rows, 0


PEERS = {
    "DuckDB window": duckdb_window,
    "DuckDB max_by": duckdb_max_by,
    "Polars": polars,
    "DataFusion": datafusion,
    "numpy argpartition": numpy,
    "prepare": prepare,
}


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    name, folder, k = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if len(sys.argv) > 4:
        PEERS[name](sys.argv[4], k)
    start, cpu_start = time.perf_counter(), cpu_seconds()
    rows, image_sum = PEERS[name](folder, k)
    measures = {
        "seconds": time.perf_counter() - start,
        "cpuSeconds": cpu_seconds() - cpu_start,
        "rows": int(rows),
        "imageSum": int(image_sum),
    }
    print(json.dumps(measures))
    sys.stdout.flush()
    # Some of the packages complain about their own objects while the interpreter ends.
    os._exit(0)
