"""docs/understanding.md: its commands run, at a smaller size, and what the page claims comes out.

To add a section: put its commands in a console block under its heading, and write a test here that
takes the fixture `lecture` and runs them:

    def test_a_claim_of_the_page(lecture):
        printed = lecture.run("Fooling a network", {"--images 50": "--images 8"})
        assert ...  # on `printed`, one text for each command, or on files under `lecture.home`

The second argument says what each text of the commands becomes, so that a test takes a second or
two; a text that is not on the page fails, so page and test cannot drift apart. Commands run in this
process, in a copy of `docs/`, where `runs/digits` is trained already (four epochs, about 96 % of
the test images right). A command is `archspec ...`, with globs, and may stand in a loop:
`for seed in 1 2 3; do archspec fit ... --seed $seed; done`. Images shown may stand under
docs/lecture/, each smaller than 100 kB. Assert what holds for any seed and backend, with room: "the
random signs fool fewer", not "0.763".
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
from click.testing import CliRunner
from pages import ROOT, commands
from support.blank import blank

import archspec
from archspec.cli import main
from archspec.runs import units

pytestmark = pytest.mark.keras

PAGE = (ROOT / "docs" / "understanding.md").read_text(encoding="utf-8")
SECTIONS = dict(
    part.split("\n", 1) for part in re.split(r"^##? ", PAGE, flags=re.MULTILINE)[1:] if part
)
"""Text below each heading."""

LOOP = re.compile(r"for (\w+) in (.*?); do (.*); done")


class Lecture:
    """A folder in which the page's commands run."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, heading: str, smaller: Mapping[str, str] | None = None) -> list[str]:
        """Run the commands under a heading, changed as `smaller` says; give what each prints."""
        written = "\n".join(command for command, _ in commands(SECTIONS[heading]))
        assert written, f"no commands under {heading!r}"
        for text, instead in (smaller or {}).items():
            assert text in written, f"{text!r} is in no command under {heading!r}"
            written = written.replace(text, instead)
        with contextlib.chdir(self.home):
            return [
                "".join(map(self._printed, each_turn(command))) for command in written.split("\n")
            ]

    def _printed(self, command: str) -> str:
        program, *words = shlex.split(command)
        assert program == "archspec", command
        with blank() if words[0] == "fit" else contextlib.nullcontext():
            done = CliRunner().invoke(main, [name for word in words for name in globbed(word)])
        assert done.exit_code == 0, f"{command}\n{done.output}"
        return done.stdout


def each_turn(command: str) -> Iterator[str]:
    """The commands of a shell's loop, or the one command."""
    loop = LOOP.fullmatch(command)
    if loop is None:
        yield command
        return
    name, values, body = loop.groups()
    for value in values.split():
        yield from each_turn(body.replace(f"${name}", value))


def globbed(word: str) -> list[str]:
    """The paths that a shell puts in the place of a pattern."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.fixture(scope="module")
def lecture(tmp_path_factory):
    """The page's network, trained for fewer epochs than there."""
    home = tmp_path_factory.mktemp("lecture")
    shutil.copytree(ROOT / "docs", home / "docs")
    made = Lecture(home)
    made.run("The network", {"-o runs/digits": "-o runs/digits --epochs 4"})
    return made


def test_the_network_reads_digits(lecture):
    run = archspec.Run.read(lecture.home / "runs" / "digits")
    assert run.test["accuracy"] > 0.9


def test_weight_decay_takes_the_noise_out_of_the_first_filters(lecture):
    noisy, _, smooth, _ = lecture.run(
        "What the first layer looks for",
        {"--epochs 24": "--epochs 4", "weight_decay: 2.0": "weight_decay: 16.0", " --gabor": ""},
    )
    assert figure(r"(\d+) noisy", noisy) > 10
    assert figure(r"(\d+) noisy", smooth) < 6


def test_a_high_learning_rate_kills_units(lecture):
    """More than that of `runs/digits`, which is 0.001."""
    each = "for rate in 0.0003 0.001 0.003 0.01 0.03; do"
    *_, printed = lecture.run(
        "Dead filters against the learning rate",
        {
            f"{each} archspec fit": "for rate in 0.03; do archspec fit",
            f"{each} archspec explain activations runs/rate-$rate": "for rate in digits rate-0.03; "
            "do archspec explain activations runs/$rate",
            "-o runs/rate": "--epochs 2 -o runs/rate",
        },
    )
    low, high = (int(count) for count in re.findall(r"(\d+) of 176 channels", printed))
    assert high > low + 20


def figure(pattern: str, text: str) -> int:
    """A number that a command printed."""
    found = re.search(pattern, text)
    assert found, text
    return int(found[1])


def test_masks_are_the_ink_by_integrated_gradients_and_not_by_saliency(lecture):
    lecture.run("Saliency, and a segmentation for free", {"test:0-39": "test:0-3"})

    def overlap(folder):
        record = json.loads((lecture.home / folder / "explain.json").read_text(encoding="utf-8"))
        return sum(each["facts"]["IoU"] for each in record["exhibits"]) / 4

    assert overlap("by-integrated-gradients") > overlap("by-saliency") + 0.2
    for name in ("saliency", "smoothgrad", "integrated-gradients", "grad-cam"):
        assert np.load(lecture.home / name / f"test-3-{name}.npy").shape == (32, 32)


def test_a_patch_on_a_digit_lowers_the_probability_somewhere(lecture):
    lecture.run("Occlusion", {"test:0-39": "test:0-3"})
    maps = [np.load(lecture.home / "occlusion" / f"test-{n}-probability.npy") for n in range(4)]
    assert all(map_.shape == (15, 15) for map_ in maps)
    assert all(map_.max() - map_.min() > 0.02 for map_ in maps)


@pytest.mark.slow
def test_fixed_filters_go_far_and_learnt_ones_further(lecture):
    lecture.run(
        "Hand-made filters against learnt ones",
        {
            "gabor sobel log random learnt;": "gabor log learnt;",
            "gabor random learnt gabor_learnt;": "gabor random;",
            "1 2 3": "1",
            "--quiet": "--quiet --epochs 6",
            "--epochs 60 ": "",
        },
    )
    runs = lecture.home / "runs"
    gabor, log, learnt, few = (
        archspec.Run.read(runs / f"{name}-1").test["accuracy"]
        for name in ("bank-gabor", "bank-log", "bank-learnt", "few-gabor")
    )
    assert learnt > gabor > log > 0.5
    assert gabor > few > 0.5


def test_fixed_filters_are_what_the_page_says_of_them():
    spec = ROOT / "docs" / "lecture" / "banks.yaml"
    fixed, learnt = (
        archspec.report(archspec.load(spec, name)).totals for name in ("random", "learnt")
    )
    assert (fixed.params, fixed.non_trainable, learnt.non_trainable) == (3_034, 432, 32)


BACKPROPAGATION = run_path(str(ROOT / "docs" / "lecture" / "backpropagation.py"))


@pytest.mark.parametrize("case", BACKPROPAGATION["CASES"], ids=str)
def test_both_gradients_of_a_convolution_are_convolutions(case):
    assert max(BACKPROPAGATION["errors"](case)) < 1e-4


def test_what_was_padded_on_one_side_is_not_cut_on_both():
    assert BACKPROPAGATION["symmetric_error"]() > 1


def test_the_script_reports_the_errors_of_an_engine(capsys):
    BACKPROPAGATION["report"]()
    *right, wrong = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in right] == list(map(str, BACKPROPAGATION["CASES"]))
    assert wrong.startswith("the same, cut on both sides")


def epochs(lecture, run):
    """Return the rows of `units.csv` by epoch of a run."""
    return units.read(lecture.home / "runs" / run)


def test_a_gradient_vanishes_through_sigmoids_and_not_through_relus(lecture):
    lecture.run(
        "Sigmoid, tanh, ReLU, leaky ReLU",
        {
            "for act in sigmoid tanh relu leaky_relu": "for act in sigmoid relu",
            "for seed in 0 1 2": "for seed in 0",
            "--seed $seed": "--seed $seed --epochs 1 --train batch=1258",
        },
    )
    shares = {}
    for act in ("sigmoid", "relu"):
        start = epochs(lecture, f"{act}-0")[0]
        shares[act] = start["conv1"]["gradient"] / start["fc1"]["gradient"]
    assert shares["sigmoid"] < 1e-3
    assert shares["relu"] > 0.05
    picture = (lecture.home / "docs" / "lecture" / "activations.svg").read_text(encoding="utf-8")
    assert "gradient:conv1 (logarithmic)" in picture


@pytest.mark.slow
def test_batch_normalisation_learns_faster_and_dropout_can_be_averaged(lecture):
    *_, rule, mean = lecture.run(
        "With and without batch normalisation and dropout",
        {
            "for variant in plain norm dropout both": "for variant in plain norm dropout",
            "for seed in 0 1 2": "for seed in 0",
            "--seed $seed": "--seed $seed --epochs 2",
            "runs/dropout-0 runs/dropout-1 runs/dropout-2": "runs/dropout-0",
            "--mc-dropout 30": "--mc-dropout 3",
        },
    )
    accuracy, gradient = {}, {}
    for variant in ("plain", "norm"):
        run = archspec.Run.read(lecture.home / "runs" / f"{variant}-0")
        accuracy[variant] = run.history[-1]["accuracy"]
        gradient[variant] = epochs(lecture, f"{variant}-0")[0]["conv1"]["gradient"]
    assert accuracy["norm"] > accuracy["plain"]
    assert gradient["norm"] > 5 * gradient["plain"]
    assert "mean of 3 passes with dropout" in mean
    assert "passes" not in rule


def test_images_of_classes_score_above_every_real_one(lecture):
    (printed,) = lecture.run("An image for each digit", {"-o maximize": "--target 0 --target 8"})
    found = re.findall(r"score ([\d.]+), probability ([\d.]+)%; .* has ([\d.]+)", printed)
    assert len(found) == 2
    for score, share, real in found:
        assert float(score) > float(real)
        assert float(share) > 90


def test_early_layers_hold_an_image_and_the_scores_do_not(lecture):
    smaller = {"-o invert": "--steps 150 --layer conv1 --layer fc5-fully_connected"}
    (printed,) = lecture.run("Inversion, layer by layer", smaller)
    (early, late) = re.findall(r"[\d.]+%, ([\d.]+)%", printed)
    assert float(early) < 5
    assert float(late) > 10


def test_the_signs_of_the_gradient_fool_and_random_ones_do_not(lecture):
    smaller = {"runs/digits --curve": "runs/digits test:0-39 --curve", "-o fool": "--epsilon 0.2"}
    smaller["runs/digits --smallest"] = "runs/digits test:0 --smallest"
    curve, smallest = lecture.run("Fooling a network", smaller)
    numbers = re.findall(r"[\d.]+%", curve.splitlines()[-1])
    before, attacked, random = (float(each[:-1]) for each in numbers)
    assert attacked < 30 < random
    assert before - random < 20
    assert " -> " in smallest


@pytest.mark.slow
def test_a_deeper_plain_network_trains_worse_than_a_residual_one(lecture):
    lecture.run(
        "Plain and residual networks of growing depth",
        {
            "for net in plain8 plain14 plain20 residual8 residual14 residual20": "for net in "
            "plain20 residual20",
            "for seed in 0 1 2": "for seed in 0",
            "--seed $seed": "--seed $seed --epochs 1",
        },
    )
    plain, residual = (
        archspec.Run.read(lecture.home / "runs" / f"{net}20-0").history[-1]["accuracy"]
        for net in ("plain", "residual")
    )
    assert residual > plain + 0.1


def test_guided_maps_hardly_know_the_last_layer(lecture):
    units, maps = lecture.run(
        "Deconvnet and guided maps, and the check that they fail",
        {
            "--method deconvnet --method integrated-gradients": "--check sanity --count 8",
            "--units 2": "--units 1",
        },
    )
    assert "20x20 pixels" in units
    lines = re.findall(r"^([\w-]+)  Spearman ([\d.]+) without the last", maps, re.MULTILINE)
    alike = {name: float(number) for name, number in lines}
    assert alike["guided"] > alike["saliency"] + 0.2
    assert alike["edges"] == 1


def test_pictures_are_small_and_shown():
    shown = set(re.findall(r"\]\((lecture/[^)]*\.(?:png|svg))\)", PAGE))
    pictures = {
        *(ROOT / "docs" / "lecture").glob("*.png"),
        *(ROOT / "docs" / "lecture").glob("*.svg"),
    }
    assert {f"lecture/{path.name}" for path in pictures} == shown
    assert [path.name for path in pictures if path.stat().st_size >= 100_000] == []


def test_features_find_more_neighbours_of_the_same_digit_than_pixels(lecture):
    (printed,) = lecture.run("Neighbours in pixels and in features")
    features, pixels = map(float, re.findall(r"([\d.]+)% in", printed))
    assert features > pixels + 3
    for name in ("neighbours-pixels.png", "neighbours-features.png", "map-map.html"):
        assert (lecture.home / "seen" / "neighbours" / name).is_file()


def test_tsne_keeps_neighbours_that_pca_does_not(lecture):
    (printed,) = lecture.run(
        "All digits on one map: PCA and t-SNE",
        {"embed runs/digits": "embed runs/digits test:0-149 --perplexity 15"},
    )
    trust, same = (
        dict(re.findall(rf"^(PCA|t-SNE) .*{what} ([\d.]+)", printed, flags=re.MULTILINE))
        for what in ("trustworthiness", "plane")
    )
    assert float(trust["t-SNE"]) > float(trust["PCA"])
    assert float(same["t-SNE"]) > float(same["PCA"]) + 0.1


@pytest.mark.slow
def test_what_lenet_does_not_mind_was_in_its_training_images(lecture):
    smaller = {
        "lenet5 --data digits": "lenet5 --data digits --epochs 3",
        "invariance runs/lenet5-digits": "invariance runs/lenet5-digits --by stroke --by rotation",
        "explain invariance": "explain invariance --rotation 40 --steps 1",
    }
    _, upright, _, turned = lecture.run("What LeNet does not mind", smaller)
    assert [line.split()[0] for line in upright.splitlines()] == ["stroke", "rotation"]
    assert turned.startswith("rotation  accuracy")
    accuracies = {
        name: {
            float(angle): float(share)
            for angle, share, *_ in csv_rows(lecture.home / folder / "rotation-values.csv")
        }
        for name, folder in (("upright", "lenet5-invariance"), ("turned", "turned-invariance"))
    }
    evaluated = archspec.evaluate(lecture.home / "runs" / "lenet5-digits").result.scores.accuracy
    assert accuracies["upright"][0.0] == evaluated
    for angle in (-40.0, 40.0):
        assert accuracies["turned"][angle] > accuracies["upright"][angle] + 0.15


def csv_rows(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]
