"""What every reader must find in the version, and how its findings are compared."""

import hashlib
import io
import json
import sys
import traceback

from PIL import Image

SIZE = (24, 20)  # of every picture, px
INDEX = ["class", "label", "rank", "sha256", "key", "probability", "uri", "event_time_ms", "size_bytes", "licence", "origin", "notes", "bytes"]


class Expectation:
    def __init__(self, path):
        with open(path, encoding="utf8") as file:
            read = json.load(file)
        self.labels = read["labels"]
        self.rows = read["rows"]
        self.kept = [row for row in self.rows if row["bytes"] == "shard"]

    def index(self, found):
        """`found`: rows as mappings with the index's columns, event_time in any of Python's forms."""
        got = sorted(
            ([*map(lambda name: plain(row[name] if name != "event_time_ms" else row["event_time"]), INDEX)] for row in found),
            key=lambda row: (row[0], row[2]),
        )
        assert len(got) == len(self.rows), f"expected {len(self.rows)} rows, found {len(got)}"
        for found_row, row in zip(got, self.rows):
            expected = [row[name] for name in INDEX]
            assert found_row == expected, f"expected {expected}, found {found_row}"
        return len(got)

    def samples(self, found):
        """`found`: (class, sidecar or None, bytes as they were or None, picture or None), in any order; a sample once each."""
        by_row = {}
        for label, sidecar, content, picture in found:
            if content is not None:
                digest = hashlib.sha256(content).hexdigest()
                assert sidecar is None or sidecar["sha256"] == digest, "other bytes than the sidecar's"
                assert Image.open(io.BytesIO(content)).size == SIZE
            else:
                digest = sidecar["sha256"]
            if picture is not None:
                assert tuple(picture) == SIZE, f"expected a picture of {SIZE}, found {picture}"
            assert (int(label), digest) not in by_row, "a sample twice"
            by_row[int(label), digest] = sidecar
        assert len(by_row) == len(self.kept), f"expected {len(self.kept)} samples, found {len(by_row)}"
        for row in self.kept:
            sidecar = by_row[row["class"], row["sha256"]]
            if sidecar is None:
                continue
            for name in ["class", "label", "rank", "key", "probability", "uri", "event_time_ms"]:
                assert sidecar[name] == row[name], f"{name}: expected {row[name]}, found {sidecar[name]}"
            for name in ["licence", "origin"]:
                assert sidecar[name] == (row[name] or ""), f"{name}: expected {row[name]}, found {sidecar[name]}"
        return len(by_row)


def plain(value):
    """Times as ms since the epoch; bytes as text; missing values as None; numbers of libraries as Python's."""
    if isinstance(value, bytes):
        return value.decode("utf8")
    if hasattr(value, "timestamp"):
        return round(value.timestamp() * 1000)
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value


failures = []


def check(name, read):
    """Runs one reader, and prints how many rows it found, or what it found instead."""
    try:
        print(f"  ok    {name}: {read()} rows", flush=True)
    except Exception as error:
        failures.append(name)
        print(f"  FAIL  {name}: {type(error).__name__}: {error}", flush=True)
        traceback.print_exc(limit=-3)


def finish():
    sys.exit(1 if failures else 0)
