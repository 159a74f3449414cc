"""Reads a version by the libraries that fit a CI run: light.py <folder> <expected.json>"""

import glob
import os
import sys
import tempfile
from importlib.metadata import version

folder, expected_path = sys.argv[1:]
os.environ["HF_HOME"] = tempfile.mkdtemp()
os.environ["HF_HUB_OFFLINE"] = "1"

import datasets
import duckdb
import mlcroissant
import pandas
import polars
import pyarrow.dataset
import pyarrow.parquet
import webdataset
from expectation import Expectation, check, finish

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python", "sluice_loader"))
from sluice_loader import Loader, Shards

datasets.disable_progress_bars()
expected = Expectation(expected_path)
shards = sorted(glob.glob(f"{folder}/shards/*.tar"))


def rows_of_datasets(found):
    raw = found.cast_column("jpg", datasets.Image(decode=False))
    decoded = (row["jpg"].size for row in found)
    return expected.samples((row["cls"], row["json"], row["jpg"]["bytes"], size) for row, size in zip(raw, decoded))


def named_classes():
    found = datasets.load_dataset(folder, split="train")
    names = found.features["cls"].names
    for index, label in enumerate(expected.labels):
        unique = expected.labels.count(label) == 1
        assert names[index] == (label if unique else f"{label} #{index}"), names
    return rows_of_datasets(found)


def webdataset_rows(decoded):
    samples = webdataset.WebDataset(shards, shardshuffle=len(shards), empty_check=False).shuffle(100)
    if decoded:
        samples = samples.decode("pil").to_tuple("jpg", "cls", "json")
        return expected.samples((label, about, None, picture.size) for picture, label, about in samples)
    return expected.samples((int(row["cls"]), None, row["jpg"], None) for row in samples)


def croissant_rows(place):
    found = mlcroissant.Dataset(f"{place}/croissant.json")
    assert not found.metadata.ctx.issues.errors, found.metadata.ctx.issues.report()
    assert str(found.metadata.ctx.conforms_to.value).endswith("croissant/1.1"), found.metadata.ctx.conforms_to
    records = found.records("rows")
    return expected.index({name.removeprefix("rows/"): value for name, value in row.items()} for row in records)


def resumed_by_others():
    """One trainer's first steps of 8 workers, then the rest by two ranks."""
    places = Shards.folder(folder)
    first = [sample for worker in range(8) for sample in list(Loader(places, seed=5, batch=2, worker=worker, workers=8))[:2]]
    state = Loader(places, seed=5, batch=2).state(8)
    rest = [sample for rank in range(2) for sample in Loader(places, **state, batch=3, rank=rank, ranks=2)]
    return expected.samples((row["cls"], row["json"], row["jpg"], None) for row in first + rest)


name = f"datasets {datasets.__version__}"
check(f"{name}, the folder", named_classes)
check(f"{name}, the folder in two processes", lambda: rows_of_datasets(datasets.load_dataset(folder, split="train", num_proc=2)))
check(f"{name}, the folder streaming", lambda: rows_of_datasets(datasets.load_dataset(folder, split="train", streaming=True)))
check(f"{name}, webdataset builder", lambda: rows_of_datasets(datasets.load_dataset("webdataset", data_files=shards, split="train")))
check(f"{name}, the index's folder", lambda: expected.index(datasets.load_dataset(f"{folder}/index", split="train")))
check("sluice_loader, resumed by other ranks", resumed_by_others)
check(f"webdataset {webdataset.__version__}", lambda: webdataset_rows(False))
check(f"webdataset {webdataset.__version__}, decoded", lambda: webdataset_rows(True))
check(f"DuckDB {duckdb.__version__}", lambda: expected.index(duckdb.sql(f"FROM '{folder}/index/*.parquet'").pl().to_dicts()))
check(f"Polars {polars.__version__}", lambda: expected.index(polars.read_parquet(f"{folder}/index/*.parquet").to_dicts()))
check(f"pandas {pandas.__version__}", lambda: expected.index(pandas.read_parquet(f"{folder}/index").to_dict("records")))
check(f"pyarrow {pyarrow.__version__}", lambda: expected.index(pyarrow.parquet.read_table(f"{folder}/index").to_pylist()))
beside = os.path.dirname(expected_path)
check("pyarrow, the API's rows as an Arrow stream", lambda: expected.index(pyarrow.ipc.open_stream(open(f"{beside}/rows.arrow", "rb")).read_all().to_pylist()))
check("DuckDB, the API's rows as Parquet", lambda: expected.index(duckdb.sql(f"FROM '{beside}/rows.parquet'").pl().to_dicts()))
check("pyarrow, as a dataset", lambda: expected.index(pyarrow.dataset.dataset(f"{folder}/index").to_table().to_pylist()))
check(f"mlcroissant {version('mlcroissant')}", lambda: croissant_rows(folder))
exports = f"{beside}/exports"


def folder_rows():
    """Every image by the row that names it, as the folder has them."""
    rows = pandas.read_csv(f"{exports}/folder/rows.csv")
    there = [row for row in rows.to_dict("records") if isinstance(row["file"], str)]
    files = {name for name in glob.glob("images/*/*", root_dir=f"{exports}/folder")}
    assert files == {row["file"] for row in there}, "other files than rows.csv names"
    return expected.samples((row["class"], None, open(f"{exports}/folder/{row['file']}", "rb").read(), None) for row in there)


check("datasets, the export hf", lambda: rows_of_datasets(datasets.load_dataset(f"{exports}/hf", split="train")))
check("mlcroissant, the export hf", lambda: croissant_rows(f"{exports}/hf"))
check("webdataset, the export webdataset", lambda: expected.samples((int(row["cls"]), None, row["jpg"], None) for row in webdataset.WebDataset(sorted(glob.glob(f"{exports}/webdataset/shards/*.tar")), shardshuffle=False, empty_check=False)))
check("pandas, the export folder", folder_rows)
check("pandas, the export csv", lambda: expected.index(pandas.read_csv(f"{exports}/csv/rows.csv", parse_dates=["event_time"]).to_dict("records")))
check("Polars, the export csv", lambda: expected.index(polars.read_csv(f"{exports}/csv/rows.csv", try_parse_dates=True).to_dicts()))
check("DuckDB, the export csv", lambda: expected.index(duckdb.sql(f"SET TimeZone='UTC'; FROM '{exports}/csv/rows.csv'").pl().to_dicts()))
finish()
