"""One global order of a version's samples for all readers of it, and where a training is in it."""

import hashlib
import sys


def global_order(names, seed, epoch):
    """Numbers of the samples by the SHA-256 of (seed, epoch, name): the same for any shards, machine and release of Python."""
    keys = [hashlib.sha256(f"{seed}/{epoch}/{name}".encode()).digest() for name in names]
    return sorted(range(len(names)), key=keys.__getitem__)


class Loader:
    """An iterable over one epoch, a torch IterableDataset without needing torch's class.

    The order is cut into blocks of `batch` samples. Rank r of `ranks` takes every ranks-th block, and within it worker w of `workers` every
    workers-th: a DataLoader of that batch size gives the rank's blocks in their order. `position` is how many samples of the epoch all ranks
    together have trained on; an epoch that is resumed there goes on in the same order with any other number of ranks and workers.
    """

    def __init__(self, shards, seed=0, epoch=0, position=0, batch=1, rank=0, ranks=1, worker=None, workers=None):
        if not 0 <= rank < ranks:
            raise ValueError(f"expected a rank below {ranks}, found {rank}")
        if batch < 1:
            raise ValueError(f"expected a batch of 1 or more, found {batch}")
        if not 0 <= position <= len(shards.samples):
            raise ValueError(f"expected a position of at most {len(shards.samples)}, found {position}: is it another version's?")
        self.shards, self.seed, self.epoch, self.position = shards, seed, epoch, position
        self.batch, self.rank, self.ranks, self.worker, self.workers = batch, rank, ranks, worker, workers

    def __iter__(self):
        worker, workers = self._worker()
        samples = self.shards.samples
        order = global_order([name for name, *_ in samples], self.seed, self.epoch)
        stride = self.batch * self.ranks * workers
        for start in range(self.position + self.batch * (worker * self.ranks + self.rank), len(order), stride):
            for at in order[start : start + self.batch]:
                yield self.shards.read(at)

    def state(self, steps):
        """What to keep beside the model after so many steps of every rank: `Loader(shards, **state, …)` goes on behind them."""
        position = min(self.position + steps * self.batch * self.ranks, len(self.shards.samples))
        return {"seed": self.seed, "epoch": self.epoch, "position": position}

    def _worker(self):
        if self.worker is not None:
            return self.worker, self.workers or 1
        torch = sys.modules.get("torch.utils.data")
        found = torch.get_worker_info() if torch is not None else None
        return (0, 1) if found is None else (found.id, found.num_workers)
