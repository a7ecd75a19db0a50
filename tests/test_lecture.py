"""docs/lecture.md: its probes print nearly what it shows, and its recipe trains."""

import re

import pytest
from pages import ROOT, commands, run

from archspec.recipe.train import Recipe
from archspec.spec.loading import load
from archspec.training.fit import fit

PAGE = (ROOT / "docs" / "lecture.md").read_text(encoding="utf-8")
PROBED = [(command, shown) for command, shown in commands(PAGE) if " probe " in command]
RECIPE = str(ROOT / "docs" / "lecture" / "resnet_recipe.yaml")


@pytest.mark.keras
@pytest.mark.parametrize(("command", "shown"), PROBED, ids=[command for command, _ in PROBED])
def test_a_probe_prints_nearly_what_the_page_shows(command, shown):
    """Backends round differently, and a saturated network makes much of it in its gradients."""
    printed = run(command).splitlines()
    for line, expected in zip(printed, shown.splitlines(), strict=True):
        if not expected.startswith("---"):
            *most, last = words(line)
            *expected_most, expected_last = words(expected)
            assert most == [
                pytest.approx(w, rel=0.02) if is_number(w) else w for w in expected_most
            ]
            assert last == (
                pytest.approx(expected_last, rel=0.25)
                if is_number(expected_last)
                else expected_last
            )


def words(line: str) -> list[str | float]:
    """The words of a line, numbers and percentages as numbers."""
    found = [word.rstrip("%") for word in line.split()]
    return [float(word) if re.fullmatch(r"-?\d[\d.]*(e[-+]\d+)?", word) else word for word in found]


def is_number(word: str | float) -> bool:
    return isinstance(word, float)


@pytest.mark.parametrize(
    "said",
    [
        "full         21  7.00x",  # 3 units on 7 inputs: 21, 9 and 3 weights
        "full         21  2.33x",
        "32x32x10     760",  # ten 5x5 filters, padding 2
        "params: (11*11*3)*96 = 34,848",  # "35K"
        "three_3x3  110,592  1.00x  113,246,208      7",
        "one_11x11  495,616  4.48x  507,510,784     11",
        "138,344,128",  # VGG-16's 138M
        "MACs: 854,196,224",
        "MACs: 271,351,808",
        "358055936",
        "alexnet          62,378,344  8.91x",
        "alexnet          62,378,344  49.97x",
        "fc1       FC-500   500        0     0.213",
        "fc1       FC-500   500        0  0.627",
    ],
)
def test_the_numbers_of_the_lecture_come_out(said):
    assert [shown for _, shown in commands(PAGE) if said in shown]


def test_the_recipe_of_resnets_is_the_lectures():
    recipe = Recipe.resolve(load(RECIPE).train)
    sgd = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
    assert (recipe.optimizer.name, recipe.optimizer.arguments) == ("sgd", sgd)
    assert (recipe.schedule.plateau.factor, recipe.batch) == (0.1, 256)
    assert "dropout" not in (ROOT / RECIPE).read_text(encoding="utf-8")


@pytest.mark.keras
@pytest.mark.usefixtures("blank_pictures")
def test_the_recipe_of_resnets_trains(tmp_path):
    small = load(RECIPE, units=1, input=[8, 8, 1])
    done = fit(small, epochs=2, out=tmp_path / "run")
    assert done.outcome == "finished"
    assert done.history[-1]["loss"] < done.history[0]["loss"]
