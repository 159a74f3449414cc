"""python3 -m unittest discover python/sluice_loader/tests"""

import hashlib
import http.server
import io
import json
import os
import pickle
import sys
import tarfile
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from sluice_loader import Loader, Shards

SAMPLES = 103


def write_shards(folder, shards):
    """Samples as a version has them; those of a number are the same for any number of shards."""
    os.makedirs(os.path.join(folder, "shards"))
    for shard in range(shards):
        with tarfile.open(os.path.join(folder, "shards", f"{shard:06}.tar"), "w", format=tarfile.USTAR_FORMAT) as archive:
            for number in range(shard, SAMPLES, shards):
                name = f"{number % 7:06}-{number:08}"
                about = json.dumps({"class": number % 7, "rank": number, "sha256": hashlib.sha256(picture(number)).hexdigest()}).encode()
                for extension, content in [("jpg", picture(number)), ("cls", str(number % 7).encode()), ("json", about)]:
                    member = tarfile.TarInfo(f"{name}.{extension}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))


def picture(number):
    return hashlib.sha256(str(number).encode()).digest() * (number % 40)


def in_turn(shards, ranks, workers, batch, **state):
    """What the ranks' trainers see, step by step: each takes a batch of its workers in turn, as torch's DataLoader does."""
    streams = [[iter(Loader(shards, batch=batch, rank=r, ranks=ranks, worker=w, workers=workers, **state)) for w in range(workers)] for r in range(ranks)]
    step = 0
    while True:
        seen = [[sample for _, sample in zip(range(batch), streams[r][step % workers])] for r in range(ranks)]
        if not any(seen):
            return
        yield [sample["__key__"] for of_rank in seen for sample in of_rank]
        step += 1


class LoaderTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        write_shards(self.folder.name, 5)
        self.shards = Shards.folder(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def names(self, **options):
        return [sample["__key__"] for sample in Loader(self.shards, **options)]

    def test_every_sample_once_as_it_is_in_the_shard(self):
        found = list(Loader(self.shards, seed=3))
        self.assertEqual(sorted(sample["json"]["rank"] for sample in found), list(range(SAMPLES)))
        for sample in found:
            self.assertEqual(sample["jpg"], picture(sample["json"]["rank"]))
            self.assertEqual(sample["cls"], sample["json"]["class"])

    def test_the_order_is_of_the_seed_and_the_epoch_and_of_no_shard(self):
        with tempfile.TemporaryDirectory() as other:
            write_shards(other, 11)
            self.assertEqual([s["__key__"] for s in Loader(Shards.folder(other), seed=1)], self.names(seed=1))
        self.assertEqual(len({tuple(self.names(seed=s, epoch=e)) for s in range(2) for e in range(2)}), 4)
        self.assertEqual(self.names(seed=1)[:2], GOLDEN)

    def test_resumed_with_other_ranks_and_workers_it_goes_on_in_the_same_order(self):
        whole = self.names(seed=7)
        shapes = [(1, 8, 4), (2, 2, 3), (1, 1, 1), (3, 2, 5)]
        for ranks, workers, batch in shapes:
            for steps in range(0, 9):
                before = [name for _, names in zip(range(steps), in_turn(self.shards, ranks, workers, batch, seed=7)) for name in names]
                state = json.loads(json.dumps(Loader(self.shards, seed=7, batch=batch, ranks=ranks).state(steps)))
                for then in shapes:
                    after = [name for names in in_turn(self.shards, *then, **state) for name in names]
                    self.assertEqual(before + after, whole)

    def test_http_gives_the_same_and_reads_through_the_shards_once(self):
        asked = []
        folder = self.folder.name

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet

            def do_GET(self):
                if self.path.startswith("/hub/"):
                    self.send_response(302)
                    self.send_header("Location", self.path.removeprefix("/hub"))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                with open(os.path.join(folder, self.path.split("?")[0].lstrip("/")), "rb") as file:
                    content = file.read()
                wanted = self.headers.get("Range")
                asked.append(wanted)
                if wanted is not None:
                    start, end = wanted.removeprefix("bytes=").split("-")
                    content = content[int(start) : int(end) + 1]
                self.send_response(200 if wanted is None else 206)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            urls = [f"http://127.0.0.1:{server.server_port}/shards/{shard:06}.tar?signature=" for shard in range(5)]
            cache = os.path.join(folder, "places.json")
            first = list(Loader(Shards([url + "a" for url in urls], cache), seed=2))
            self.assertEqual(first, list(Loader(self.shards, seed=2)))
            again = Shards([url + "b" for url in urls], cache)
            self.assertEqual(list(Loader(pickle.loads(pickle.dumps(again)), seed=2)), first)
            self.assertEqual(asked.count(None), 5)
            with open(cache) as file:
                self.assertNotIn("signature", file.read())
            redirected = [url.replace("/shards/", "/hub/shards/") for url in urls]
            self.assertEqual(list(Loader(Shards(redirected), seed=2)), first)
        finally:
            server.shutdown()
            server.server_close()

    def test_a_flipped_bit_of_an_image_or_of_a_shard_is_found_and_named(self):
        with open(self.shards.shards[0], "rb") as file:
            digests = {"000000.tar": hashlib.sha256(file.read()).hexdigest()}
        self.assertEqual(len(Shards.folder(self.folder.name, digests=digests).samples), SAMPLES)
        name, shard, start, end = next(place for place in self.shards.samples if place[1] == 0 and place[3] - place[2] > 4000)
        with open(self.shards.shards[shard], "r+b") as file:
            file.seek(start + 512 + 40)
            byte = file.read(1)
            file.seek(start + 512 + 40)
            file.write(bytes([byte[0] ^ 4]))
        with self.assertRaisesRegex(OSError, f"in sample {name} of .*000000.tar, found other bytes"):
            list(Loader(Shards.folder(self.folder.name)))
        self.assertEqual(len(list(Loader(Shards.folder(self.folder.name, check=False)))), SAMPLES)
        with self.assertRaisesRegex(OSError, "expected a shard of SHA-256"):
            Shards.folder(self.folder.name, digests=digests)

    def test_a_cache_from_before_a_shard_was_written_anew_gives_no_other_sample(self):
        cache = os.path.join(self.folder.name, "places.json")
        Shards.folder(self.folder.name, cache)
        first = self.shards.shards[0]
        with open(first, "rb") as file:
            content = file.read()
        places = [place for place in self.shards.samples if place[1] == 0]
        # Without a sample of the size of the next one: those behind it lie where others lay.
        with open(first, "wb") as file:
            file.write(content[: places[1][2]] + content[places[1][3] :])
        same = [name for name, *_ in places[:1]]
        stale = Shards.folder(self.folder.name, cache)
        self.assertEqual(stale.read(0)["__key__"], same[0])
        with self.assertRaisesRegex(OSError, "written anew|found other bytes|cut off"):
            for at in range(1, len(places)):
                stale.read(at)
        self.assertEqual(len(Shards.folder(self.folder.name).samples), SAMPLES - 1)

    def test_a_place_that_holds_another_sample_is_refused(self):
        one, other = [place for place in self.shards.samples if place[1] == 0][1:3]
        at = self.shards.samples.index(one)
        self.shards.samples[at] = [one[0], *other[1:]]
        with self.assertRaisesRegex(OSError, f"expected sample {one[0]} at byte .*found {other[0]}: the shard was written anew"):
            self.shards.read(at)

    def test_what_is_wrong_is_said(self):
        with self.assertRaisesRegex(FileNotFoundError, "found none"):
            Shards.folder(os.path.join(self.folder.name, "shards"))
        with self.assertRaisesRegex(ValueError, "another version's"):
            Loader(self.shards, position=SAMPLES + 1)
        with self.assertRaisesRegex(ValueError, "named twice"):
            Shards(self.shards.shards[:1] * 2)
        with open(self.shards.shards[0], "r+b") as file:
            file.truncate(2000)
        with self.assertRaisesRegex(OSError, "was the shard cut off"):
            list(Loader(self.shards))


# By coreutils: sha256sum of "1/0/<name>", sorted
GOLDEN = ["000002-00000016", "000004-00000102"]

if __name__ == "__main__":
    unittest.main()
