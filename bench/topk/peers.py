"""`python peers.py <peer> <folder> <K> [<made>]`: one peer of the topk benchmark.

The task: of every class the K best images by rank key, best first, each with the columns of a version's index. An image stands
for the first P = 10 of its classes. `<folder>` has the store with the archive's runs; for a peer that ends in ", plain columns"
the files that `prepare` made: one line a candidate. Ends with a line of JSON: seconds, cpuSeconds, rows, placeSum.

Each engine uses the fastest of the queries that were tried: see docs/decisions/003-topk-operator.md. Reading rows back by a
join is part of the task: what is ranked is three columns, what is published is twelve.
"""

import glob
import json
import os
import resource
import sys
import time

THREADS = 2
P = 10
CLASSES = 1000
# Two partitions: the sum tells both offsets and partitions.
SUM = "offset * 2 + partition"
OF_IMAGE = ["digest", "event_time", "size_bytes", "width", "height", "uri", "licence", "origin", "notes", "bytes", "pack"]


def runs(folder):
    return sorted(glob.glob(f"{folder}/store/runs/**/*.parquet", recursive=True))


def duckdb_best(how, candidates, images, k):
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"set threads = {THREADS}")
    connection.execute("set preserve_insertion_order = false")
    if how == "max_by":
        best = f"""select class, unnest(max_by(struct_pack("partition", "offset", key), key, {k}), recursive := true)
            from ({candidates}) group by class"""
    else:
        best = f"""select class, "partition", "offset", key from
            (select *, row_number() over (partition by class order by key desc) as rank from ({candidates}))
            where rank <= {k}"""
    columns = ", ".join(f"i.{name}" for name in OF_IMAGE)
    connection.execute(
        f"""create temp table chosen as
            select b.*, exp(b.key) as probability, {columns}
            from ({best}) b join {images} i on b."partition" = i."partition" and b."offset" = i."offset"
            order by b.class, b.key desc"""
    )
    return connection.execute('select count(*), sum("offset" * 2 + "partition") from chosen').fetchone()


def duckdb(how):
    def run(folder, k):
        files = f"read_parquet({runs(folder)})"
        candidates = f"""select "partition", "offset", unnest(classes[1:{P}]) as class, unnest(keys[1:{P}]) as key
            from {files}"""
        return duckdb_best(how, candidates, files, k)

    return run


def duckdb_plain(folder, k):
    return duckdb_best("max_by", f"select * from '{folder}/candidates.parquet'", f"'{folder}/images.parquet'", k)


def polars_best(candidates, images, k):
    import polars

    best = (
        candidates.group_by("class")
        .agg(polars.col("partition", "offset", "key").sort_by("key", descending=True).head(k))
        .explode("partition", "offset", "key")
    )
    chosen = (
        images.select("partition", "offset", *OF_IMAGE)
        .join(best, on=["partition", "offset"])
        .with_columns(polars.col("key").exp().alias("probability"))
        .sort(["class", "key"], descending=[False, True])
        .collect(engine="streaming")
    )
    return chosen.height, (chosen["offset"] * 2 + chosen["partition"]).sum()


def polars(folder, k):
    import polars

    rows = polars.scan_parquet(runs(folder))
    first = [polars.col(name).list.head(P).alias(to) for name, to in (("classes", "class"), ("keys", "key"))]
    candidates = rows.select("partition", "offset", *first).explode("class", "key")
    return polars_best(candidates, rows, k)


def polars_plain(folder, k):
    import polars

    return polars_best(polars.scan_ipc(f"{folder}/candidates.arrow"), polars.scan_ipc(f"{folder}/images.arrow"), k)


def datafusion(folder, k):
    import datafusion
    import pyarrow
    import pyarrow.compute

    context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(THREADS))
    paths = runs(folder)
    for index, path in enumerate(paths):
        context.register_parquet(f"run{index}", path)
    context.sql("create view rows as " + " union all ".join(f"select * from run{index}" for index in range(len(paths))))
    columns = ", ".join(f"i.{name}" for name in OF_IMAGE)
    best = f"""select class, "partition", "offset", key from
        (select *, row_number() over (partition by class order by key desc) as rank from
          (select "partition", "offset", unnest(array_slice(classes, 1, {P})) as class,
                  unnest(array_slice(keys, 1, {P})) as key from rows))
        where rank <= {k}"""
    query = f"""select b.class, b.key, exp(b.key) as probability, b."partition", b."offset", {columns}
        from ({best}) b join rows i on b."partition" = i."partition" and b."offset" = i."offset"
        order by b.class, b.key desc"""
    plan = str(context.sql(f"explain {query}").to_pydict())
    print("EXPLAIN has a top-K window:", "TopK" in plan, file=sys.stderr)
    chosen = pyarrow.Table.from_batches(context.sql(query).collect())
    offset = pyarrow.compute.sum(chosen["offset"]).as_py()
    return chosen.num_rows, offset * 2 + pyarrow.compute.sum(chosen["partition"]).as_py()


def numpy(folder, k):
    """Row groups one after the other past thresholds of the classes; cut back by argpartition; then the rows by a second reading."""
    import numpy
    import pyarrow
    import pyarrow.parquet

    thresholds = numpy.full(CLASSES, -numpy.inf)
    # class, key, row among all
    kept = [numpy.empty(0, numpy.int32), numpy.empty(0, numpy.float64), numpy.empty(0, numpy.int64)]
    passed = []
    pending = 0

    def cut(last):
        nonlocal kept, passed, pending
        of, key, row = (numpy.concatenate([kept[i]] + [part[i] for part in passed]) for i in range(3))
        order = numpy.argsort(of.astype(numpy.int16), kind="stable")
        counts = numpy.bincount(of, minlength=CLASSES)
        ends = numpy.cumsum(counts)
        parts = []
        for c in range(CLASSES):
            part = order[ends[c] - counts[c] : ends[c]]
            if counts[c] > k:
                part = part[numpy.argpartition(key[part], counts[c] - k)[counts[c] - k :]]
            if len(part) == k:
                thresholds[c] = key[part].min()
            if last:
                part = part[numpy.argsort(-key[part])]
            parts.append(part)
        order = numpy.concatenate(parts)
        kept = [of[order], key[order], row[order]]
        passed = []
        pending = 0

    first = 0
    groups = []
    for path in runs(folder):
        file = pyarrow.parquet.ParquetFile(path, memory_map=True)
        for index in range(file.num_row_groups):
            table = file.read_row_group(index, columns=["classes", "keys"], use_threads=False)
            count = table.num_rows
            of, key = (
                column.combine_chunks().flatten().to_numpy().reshape(count, -1)[:, :P].ravel()
                for column in (table["classes"], table["keys"])
            )
            above = numpy.flatnonzero(key >= thresholds[of])
            passed.append((of[above], key[above], first + above // P))
            pending += len(above)
            groups.append((file, index, first))
            first += count
            if pending > max(1 << 20, len(kept[0]) // 2):
                cut(False)
    cut(True)
    needed = numpy.unique(kept[2])
    columns = ["partition", "offset", *OF_IMAGE]
    pieces = []
    for (file, index, start), low, high in zip(
        groups,
        numpy.searchsorted(needed, [start for _, _, start in groups]),
        numpy.searchsorted(needed, [start for _, _, start in groups[1:]] + [first]),
    ):
        if low < high:
            table = file.read_row_group(index, columns=columns, use_threads=False)
            pieces.append(table.take(pyarrow.array(needed[low:high] - start)))
    chosen = pyarrow.concat_tables(pieces).combine_chunks().take(pyarrow.array(numpy.searchsorted(needed, kept[2])))
    chosen = chosen.append_column("probability", pyarrow.array(numpy.exp(kept[1])))
    return chosen.num_rows, int((chosen["offset"].to_numpy() * 2 + chosen["partition"].to_numpy()).sum())


def prepare(folder, _, made):
    """Writes the archive's rows as plain columns, in the formats that engines read fastest."""
    import duckdb
    import polars

    connection = duckdb.connect()
    connection.execute(f"set threads = {THREADS}")
    files = f"read_parquet({runs(folder)})"
    columns = ", ".join(["partition", '"offset"', *OF_IMAGE])
    for name, query in (
        ("candidates", f'select "partition", "offset", unnest(classes[1:{P}]) as class, unnest(keys[1:{P}]) as key from {files}'),
        ("images", f"select {columns} from {files}"),
    ):
        to = f"{made}/{name}.parquet"
        connection.execute(f"copy ({query}) to '{to}' (format parquet, compression uncompressed, row_group_size 491520)")
        polars.scan_parquet(to).sink_ipc(f"{made}/{name}.arrow", compression="uncompressed")
    return 0, 0


PEERS = {
    "DuckDB window": duckdb("window"),
    "DuckDB max_by": duckdb("max_by"),
    "DuckDB max_by, plain columns": duckdb_plain,
    "Polars": polars,
    "Polars, plain columns": polars_plain,
    "DataFusion": datafusion,
    "numpy argpartition": numpy,
    "prepare": prepare,
}


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    name, folder, k, *made = sys.argv[1:]
    start, cpu_start = time.perf_counter(), cpu_seconds()
    rows, place_sum = PEERS[name](folder, int(k), *made)
    measures = {
        "seconds": time.perf_counter() - start,
        "cpuSeconds": cpu_seconds() - cpu_start,
        "rows": int(rows),
        "placeSum": int(place_sum),
    }
    print(json.dumps(measures))
    sys.stdout.flush()
    # Some of the packages complain about their own objects while the interpreter ends.
    os._exit(0)
