"""`explain.embed`: neighbours, PCA, t-SNE, and the page on which points show their images."""

import json
import re
import signal

import numpy as np
import pytest
from support.networks import images, relu_net

from archspec import explain
from archspec.errors import UsageError
from archspec.explain import embedding
from archspec.render.gallery.explorer import Explorer


def blobs(count=40, dimensions=12, groups=3):
    """Gaussian blobs far apart, and which one each point is of."""
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(groups), count)
    centres = 100 * draw.normal(size=(groups, dimensions))
    points = centres[labels] + draw.normal(size=(len(labels), dimensions))
    return points.astype(np.float32), labels


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_far_blobs_keep_all_labels_of_their_neighbours(metric):
    points, labels = blobs()
    near = embedding.nearest(points, 10, metric)
    assert (embedding.agreement(near, labels) == 1).all()


def test_far_blobs_stay_apart_by_pca_and_by_tsne():
    points, labels = blobs(12)
    components, _ = embedding.principal(points)
    for places in (components[:, :2], embedding.tsne(components, 5)):
        near = embedding.nearest(places, 5)
        assert (embedding.agreement(near, labels) == 1).all()


def test_open_tsne_keeps_far_blobs_apart_and_says_how_far_it_is():
    pytest.importorskip("openTSNE")
    points, labels = blobs()
    steps = []
    components, _ = embedding.principal(points)
    places = embedding.tsne(
        components, 10, fast=True, tick=lambda done, total: steps.append((done, total))
    )
    assert (embedding.agreement(embedding.nearest(places, 10), labels) == 1).all()
    assert steps[-1] == (750, 750)


def test_the_query_is_no_neighbour_of_its_own_even_among_copies():
    points = np.zeros((6, 3), np.float32)
    points[5] = 1
    near = embedding.nearest(points, 4)
    assert all(number not in row for number, row in enumerate(near))


def test_pca_of_a_rank_2_set_explains_all_of_it_in_2():
    draw = np.random.default_rng(1)
    points = draw.normal(size=(50, 2)) @ draw.normal(size=(2, 30)) + 7
    components, shares = embedding.principal(points.astype(np.float32))
    assert shares[:2].sum() == pytest.approx(1, abs=1e-5)
    assert shares[0] >= shares[1]
    distances = np.linalg.norm(points[0] - points, axis=1)
    np.testing.assert_allclose(
        np.linalg.norm(components[0] - components, axis=1), distances, rtol=1e-3, atol=1e-3
    )


def test_the_sign_of_a_component_does_not_depend_on_the_order_of_points():
    points, _ = blobs()
    forward, _ = embedding.principal(points)
    backward, _ = embedding.principal(points[::-1].copy())
    np.testing.assert_allclose(forward[:, :2], backward[::-1, :2], rtol=1e-3, atol=1e-2)


def test_one_dimension_is_a_line():
    points = np.arange(10, dtype=np.float32)[:, None]
    components, shares = embedding.principal(points)
    assert components.shape == (10, 2)
    assert (components[:, 1] == 0).all()
    assert shares.tolist() == pytest.approx([1, 0])
    assert np.isfinite(embedding.tsne(components, 3)).all()


def test_trustworthiness_is_that_of_scikit_learn():
    from sklearn import manifold

    points, _ = blobs(30)
    for places in (points[:, :2], points[:, 3:5], np.random.default_rng(0).normal(size=(90, 2))):
        expected = manifold.trustworthiness(points, places, n_neighbors=5)
        assert embedding.trustworthiness(points, places) == pytest.approx(expected, abs=1e-3)


def test_trustworthiness_is_the_same_block_by_block(monkeypatch):
    points = blobs(30)[0].astype(float)  # in float32, a block's size changes which is nearer
    whole = embedding.trustworthiness(points, points[:, :2])
    monkeypatch.setattr(embedding, "BLOCK", 700)
    assert embedding.trustworthiness(points, points[:, :2]) == whole


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[1.0, 2]], "there is one image, 0"),
        ([[1.0, 2], [np.nan, 0], [1, 1]], "features are not finite for 1 of 3 images, as 1"),
        ([[1.0, 2], [np.inf, 0]], "not finite"),
        ([[3.0, 4], [3, 4], [3, 4]], "the same for all 3 images"),
    ],
)
def test_what_cannot_be_embedded_is_said(points, message):
    with pytest.raises(UsageError, match=message):
        embedding.check(np.array(points, np.float32), "the features", ["0", "1", "2"])


@pytest.mark.parametrize("scale", [1e-38, 1e38])
def test_features_of_any_size_can_be_compared(scale):
    points, labels = blobs()
    scaled = (points / 1000 * scale).astype(np.float32)
    checked = embedding.check(scaled, "the features", [str(label) for label in labels])
    assert (embedding.agreement(embedding.nearest(checked, 10), labels) == 1).all()


def page(*, classes=("a", "b"), names=None, channels=1, count=6):
    draw = np.random.default_rng(0)
    return Explorer(
        title="A map",
        about="of <b>",
        names=names or [f"image {number}" for number in range(count)],
        images=draw.uniform(0, 255, (count, 8, 8, channels)).astype(np.float32),
        limits=(0, 255),
        class_names=classes,
        labels=np.arange(count) % 2,
        predictions=np.zeros(count, int),
        maps={"PCA": draw.normal(size=(count, 2))},
        notes={"PCA": "a note"},
        near={"features": np.ones((count, 2), int)},
    ).html()


def data_of(text):
    """Return the data that the script of a page reads."""
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_page_needs_nothing_beside_it(channels):
    text = page(channels=channels)
    assert not re.search(r"""(src|href)=["'](?!data:)|https?:|@import|url\(""", text)
    sprite = data_of(text)["sprite"]
    assert sprite["src"].startswith("data:image/")
    assert (sprite["width"], sprite["height"], sprite["cell"]) == (8, 8, 8)


def test_names_cannot_become_part_of_a_page():
    hostile = "</script><script>alert(1)</script>@TITLE@@DATA@"
    text = page(classes=(hostile, "b"), names=[hostile] * 6)
    assert text.count("</script>") == 2
    assert data_of(text)["classes"][0] == hostile
    assert data_of(text)["names"][5] == hostile


@pytest.fixture(scope="module")
def model(keras):
    return relu_net(keras, (8, 8, 1), classes=10)


def test_labelled_images_are_compared_class_by_class_and_put_on_a_map(model, tmp_path):
    found = explain.embed(model, "all:0-59", data="digits", normalize="unit", k=4, queries=3)
    assert [exhibit.name for exhibit in found] == ["neighbours", "PCA", "t-SNE", "map"]
    features, _, table = found[0].items
    assert features.values.shape == (15, 8, 8, 1)
    *classes, total = table.rows
    assert sum(row[1] for row in classes) == total[1] == 60
    for column in (2, 3):
        mean = sum(row[1] * row[column] for row in classes) / 60
        assert mean == pytest.approx(total[column])
    assert "4-NN label agreement" in found[0].summary
    assert found.settings["layer"] == "hidden"
    assert 0.4 < found[2].facts["trustworthiness"] <= 1
    folder = found.save(tmp_path / "out")
    explorer = data_of((folder / "map-map.html").read_text(encoding="utf-8"))
    assert [view["name"] for view in explorer["views"]] == ["t-SNE", "PCA"]
    assert len(explorer["labels"]) == len(explorer["predictions"]) == 60
    assert [each["k"] for each in explorer["near"]] == [4, 4]


def test_without_labels_nothing_is_said_of_agreement(model):
    found = explain.embed(model, images(3, (8, 8, 1)), normalize="unit", layer="conv1")
    assert [exhibit.name for exhibit in found] == ["neighbours", "PCA", "map"]
    assert not any("agreement" in line for line in found.lines)
    said = " ".join(found.notes)
    assert "no labels" in said
    assert "at most 2 others, not 10" in said
    assert "t-SNE is left out" in said


def test_of_many_images_some_are_drawn_and_that_is_said(model):
    given = images(30, (8, 8, 1))
    one, other = (
        explain.embed(model, given, normalize="unit", tsne="none", sample=10, seed=seed)
        for seed in (1, 2)
    )
    assert "10 of 30 images, drawn by seed 1: `sample=30` takes all" in one.notes[0]
    names = [[row[0] for row in found[1].items[1].rows] for found in (one, other)]
    assert len(names[0]) == 10
    assert names[0] != names[1]


def test_what_cannot_be_held_is_not_taken(model, monkeypatch):
    monkeypatch.setattr("archspec.explain.methods.embed.MEMORY", 4 * 8 * 8 * 6 * 7)
    found = explain.embed(
        model, images(30, (8, 8, 1)), normalize="unit", tsne="none", layer="conv1"
    )
    assert found.settings["sample"] == 7
    assert "7 of 30 images" in found.notes[0]


@pytest.mark.keras
@pytest.mark.skipif(embedding.has_open_tsne(), reason="openTSNE is installed")
def test_what_has_to_be_installed_is_said_before_a_network_is_looked_for():
    with pytest.raises(UsageError, match=r"pip install 'keras-archspec\[tsne\]'"):
        explain.embed("runs/none", tsne="open")


def test_ctrl_c_amid_tsne_keeps_what_is_done(model, monkeypatch):
    monkeypatch.setattr(embedding, "tsne", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    found = explain.embed(model, images(12, (8, 8, 1)), normalize="unit", k=3)
    assert [exhibit.name for exhibit in found] == ["neighbours", "PCA", "map"]
    assert found.interrupted


def test_a_network_without_features_is_told_to_name_a_layer(keras):
    inputs = keras.Input((4,))
    linear = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    with pytest.raises(UsageError, match="no layer between the image and its scores"):
        explain.embed(linear, images(5, (4,)), normalize="none")


def test_a_dead_layer_is_said(keras):
    dead = relu_net(keras, (8, 8, 1))
    kernel, bias = dead.get_layer("hidden").get_weights()
    dead.get_layer("hidden").set_weights([kernel, bias - 1e6])
    with pytest.raises(UsageError, match="features of `hidden` are the same for all 5 images"):
        explain.embed(dead, images(5, (8, 8, 1)), normalize="unit")
