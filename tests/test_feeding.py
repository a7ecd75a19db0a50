"""A batch depends only on seed, epoch and step, however and how far ahead it is read."""

import threading
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from archspec.data.dataset import Subset, load
from archspec.data.recipe import DataRecipe
from archspec.keras_model.engine import load_keras
from archspec.ops.shape import Shape
from archspec.training import feeding
from archspec.training.feeding import Feed

pytestmark = pytest.mark.keras

BATCH = 32


@pytest.fixture(scope="module")
def feed() -> Feed:
    data = load(DataRecipe(), Shape((8, 8, 1)))
    return Feed(data.train, data.preprocessing, batch=BATCH, classes=10, one_hot=True, seed=1)


def batches_of(feed: Feed, backend: str, **options):
    """Batches in the form for Keras on a backend; a feed uses no more of Keras than this."""
    utils = load_keras().utils if backend != "tensorflow" else None
    keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda: backend), utils=utils)
    return feed.for_keras(keras, **options)


def equal(batch, wanted) -> bool:
    return all(np.array_equal(np.asarray(a), b) for a, b in zip(batch, wanted, strict=True))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
def test_tensorflow_reads_the_batches_that_are_meant(feed, count, weighted):
    pytest.importorskip("tensorflow")
    part = Subset(feed.part.pixels, feed.part.indices[:count], feed.part.labels[:count])
    weights = np.arange(1, 11, dtype=np.float32) if weighted else None
    feed = replace(feed, part=part, weights=weights)
    batches = batches_of(feed, "tensorflow")
    for epoch in (1, 2):
        feed.epoch = epoch
        wanted = [feed.batch_at(epoch, step) for step in range(feed.steps)]
        assert all(equal(*pair) for pair in zip(batches, wanted, strict=True))


@pytest.mark.parametrize("weighted", [False, True])
def test_read_without_an_end_each_epoch_has_its_own_order(feed, weighted):
    pytest.importorskip("tensorflow")
    feed = replace(feed, weights=np.ones(10, np.float32) if weighted else None)
    feed.epoch = 3
    batches = iter(batches_of(feed, "tensorflow", endless=True))
    for epoch in (3, 4):
        for step in range(feed.steps):
            assert equal(next(batches), feed.batch_at(epoch, step))


@pytest.mark.parametrize("cheap", [BATCH * 64, BATCH * 64 - 1])
def test_threads_read_ahead_what_takes_longer_than_asking_them(feed, monkeypatch, cheap):
    readers = set()

    class FileWatch(Feed):
        def batch_at(self, epoch, step):
            readers.add(threading.current_thread())
            return super().batch_at(epoch, step)

    monkeypatch.setattr(feeding, "CHEAP", cheap)
    watched = FileWatch(**{f.name: getattr(feed, f.name) for f in fields(feed) if f.init})
    batches = batches_of(watched, "torch")
    for epoch in (1, 2):
        watched.epoch = epoch
        for step in range(len(batches)):
            assert equal(batches[step], feed.batch_at(epoch, step))
    assert (threading.current_thread() in readers) == (cheap == BATCH * 64)
