"""`archspec list`, `show` and `schema`, and what all commands share, through the entry point."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import click
import pytest
from click.testing import CliRunner
from support.commands import on_terminal, output, run
from support.specs import families

import archspec
from archspec.cli import COMMANDS, main
from archspec.cli.list import TAGS
from archspec.compile import catalog
from archspec.errors import Diagnostic, SpecError, UsageError
from archspec.spec.bundled import bundled
from archspec.spec.document import Tag

COMMAND = str(Path(sysconfig.get_path("scripts")) / "archspec")

SPEC = """\
name: small
input: [8, 8, 3]
vars:
  classes: 10
  widths: [4, 8]
  first: =widths[0]
layers:
  - conv: =first
  - flatten
  - fc: =classes
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return str(path)


def params(*arguments: str) -> int:
    return json.loads(output("build", *arguments, "--format", "json"))["totals"]["params"]


# archspec list


def test_list_in_a_pipe_has_a_line_for_each_network():
    rows = [line.split("\t") for line in output("list").splitlines()]
    names = [(d.name, name) for _, d in families() for name in d.variants or [d.name]]
    assert [(family, name) for family, name, *_ in rows] == names
    vgg16 = next(row for row in rows if row[1] == "vgg16")
    assert vgg16[:4] == ["vgg", "vgg16", "138357544", "15470264320"]
    assert {len(row) for row in rows} == {7}


def test_list_as_json_says_the_same():
    rows = [line.split("\t") for line in output("list").splitlines()]
    said = [
        [
            *(each["family"], v["name"], str(v["params"] or ""), str(v["macs"] or "")),
            *(each["about"], ", ".join(each["tags"]), each["history"]),
        ]
        for each in json.loads(output("list", "--format", "json"))
        for v in each["variants"]
    ]
    assert said == rows


def test_list_on_a_terminal_has_columns():
    lines = on_terminal("list", NO_COLOR="1").splitlines()
    assert next(line for line in lines if line.startswith("vgg: ")).startswith("vgg: VGG (Simonyan")
    figures = [line for line in lines if line.startswith("  ") and line.endswith("MACs")]
    assert len({len(line) for line in figures}) == 1
    assert len({line.index(" parameters") for line in figures if " parameters" in line}) == 1


def listed(*arguments: str) -> set[str]:
    """The families that `archspec list` names."""
    return {each["family"] for each in json.loads(output("list", *arguments, "--json"))}


def test_list_finds_families_by_their_tags():
    tagged = {document.name: set(document.tags) for _, document in families()}
    mobile = {name for name, tags in tagged.items() if "mobile" in tags}
    assert "squeezenet" in mobile < set(tagged)
    assert listed("--tag", "mobile") == mobile
    both = {name for name in mobile if "classification" in tagged[name]}
    assert both
    assert listed("--tag", "mobile", "--tag", "classification") == both
    assert listed("--tag", "mobile,classification") == both
    assert {each.name for each in archspec.networks("mobile").families} == mobile


def test_a_misspelt_tag_is_corrected():
    done = run("list", "--tag", "mobil")
    assert done.returncode == 2
    assert "`--tag mobil` must be one of classification" in done.stderr
    assert done.stderr.rstrip().endswith("did you mean `mobile`?")


def test_the_command_knows_the_tags_of_specs():
    assert get_args(Tag) == TAGS


@pytest.mark.parametrize("columns", [20, 40, 60, 80])
@pytest.mark.parametrize("options", [[], ["--kinds"]], ids=["networks", "kinds"])
def test_list_fits_its_terminal(columns, options):
    lines = on_terminal("list", *options, NO_COLOR="1", COLUMNS=str(columns)).splitlines()
    assert max(map(len, lines)) <= max(columns, 40)


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (80, ["vgg16", "138,357,544", "parameters", "15,470,264,320", "MACs"]),
        (60, ["vgg16", "138,357,544", "parameters"]),
        (40, ["vgg16"]),
    ],
)
def test_list_leaves_out_the_figures_that_do_not_fit(columns, shown):
    lines = on_terminal("list", NO_COLOR="1", COLUMNS=str(columns)).splitlines()
    assert [line.split() for line in lines if line.split()[:1] == ["vgg16"]] == [shown]


def test_list_kinds_has_a_line_for_each_kind():
    rows = [line.split("\t") for line in output("list", "--kinds").splitlines()]
    assert {kind for kind, sort, _ in rows if sort != "word"} == set(catalog.kinds())
    assert ["max_pool", "op"] in [row[:2] for row in rows]
    assert ["residual", "block"] in [row[:2] for row in rows]
    assert ["concat", "merge"] in [row[:2] for row in rows]
    assert ["repeat", "word"] in [row[:2] for row in rows]


def test_color_is_for_terminals_that_want_it():
    assert "\x1b[1m" in on_terminal("list", "--kinds", NO_COLOR="")
    assert "\x1b" not in on_terminal("list", "--kinds", NO_COLOR="1")
    assert "\x1b" not in on_terminal("list", "--kinds", NO_COLOR="", TERM="dumb")
    assert "\x1b" not in output("list", "--kinds")


# archspec show


@pytest.mark.parametrize("kind", catalog.kinds())
def test_show_explains_every_kind(kind):
    text = CliRunner().invoke(main, ["show", kind]).stdout
    for name in catalog.find(kind).model_fields:
        assert f"  {name}  [" in text
    assert "\nExample" in text


def test_show_says_types_defaults_and_the_paper():
    text = output("show", "residual")
    assert "(He et al. 2015, arXiv:1512.03385)" in text
    assert "  filters  [required]\n" in text
    assert "  style  [default basic]\n" in text
    assert "Value: one of basic, bottleneck." in text


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("layers", "a group that is one step"),
        ("branches", "joined by `merge`"),
        ("for", "each item of all lists together"),
        ("repeat", "one after the other"),
        ("when", "Whether a step exists"),
        ("expressions", "A text that starts with `=`"),
        ("divisible", "=divisible(a, n)"),
        ("defaults", "what a step of that kind has unless it gives its own"),
        ("published", "The paper or page that the figures are from."),
        ("train", "Images per step."),
    ],
)
def test_show_explains_the_other_words(word, text):
    assert text in output("show", word)


@pytest.mark.parametrize("name", ["vgg", "vgg16"])
def test_show_prints_a_bundled_spec_as_it_is_written(name):
    assert output("show", name) == bundled()["vgg"].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("covn", "did you mean `conv`?"),
        ("conv2d", "archspec says `conv`"),
        ("squezenet", "did you mean `squeezenet`?"),
        ("brunches", "did you mean `branches`?"),
        ("xyzzy", "see `archspec list --kinds`"),
    ],
)
def test_show_knows_what_was_meant(word, hint):
    done = run("show", word)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: there is nothing called `{word}`; {hint}\n"


def test_show_fits_the_terminal():
    assert max(map(len, on_terminal("show", "conv", NO_COLOR="1").splitlines())) <= 80


# archspec schema


def test_schema_goes_to_a_file_or_to_standard_output(tmp_path):
    path = tmp_path / "schema.json"
    assert run("schema", "-o", str(path)).stderr == f"wrote {path}\n"
    text = path.read_text(encoding="utf-8")
    assert output("schema") == text
    assert json.loads(text)["title"] == "archspec"


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    done = run("schema", "-o", str(tmp_path / "missing" / "schema.json"))
    assert done.returncode == 2
    assert done.stderr.endswith(f"schema.json: there is no folder {tmp_path / 'missing'}\n")


def test_the_schema_does_not_replace_a_spec(tmp_path):
    spec = tmp_path / "mine.yaml"
    spec.write_text("name: mine\n", encoding="utf-8")
    done = run("schema", "-o", str(spec))
    assert done.returncode == 2
    assert "the suffix says what to write: .json" in done.stderr
    assert spec.read_text(encoding="utf-8") == "name: mine\n"


# What all commands share


def test_a_misspelt_command_is_suggested():
    done = run("biuld", "vgg16")
    assert done.returncode == 2
    assert "there is no command `biuld`; did you mean `build`?" in done.stderr


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("train", "fit"),
        ("report", "build"),
        ("diff", "compare --diff"),
        ("find-lr", "fit --find-lr"),
        ("models", "list"),
        ("plot", "draw"),
        ("plot_model", "draw"),
        ("visualize", "draw"),
        ("diagram", "draw"),
        ("drwa", "draw"),
        ("help", "--help"),
    ],
)
def test_another_tool_s_word_for_a_command_is_answered(word, command):
    assert f"there is no command `{word}`; did you mean `{command}`?" in run(word).stderr


def test_a_format_may_be_called_as_its_suffix():
    assert run("list", "--format", "md").stdout == run("list", "--format", "markdown").stdout


@pytest.mark.parametrize("command", ["build", "check"])
def test_a_variable_that_there_is_not_may_have_any_name(command):
    done = run(command, "lenet5", "--set", "variant=wide")
    assert done.returncode == 2
    assert "has no variable `variant`; a variant is named with the spec" in done.stderr


def test_the_version_is_the_package_s():
    assert output("--version") == f"archspec {archspec.__version__}\n"


@pytest.mark.parametrize("module", ["archspec", "archspec.cli"])
def test_the_module_runs_as_the_command(module):
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout == output("--help")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], 28 * 4 + (6 * 6 * 4 + 1) * 10),
        (["classes=5"], 112 + 145 * 5),
        (["classes=5", "classes=6"], 112 + 145 * 6),
        (["widths=[2]"], 28 * 2 + (6 * 6 * 2 + 1) * 10),
        (["widths==[1] * 3"], 28 + 37 * 10),
        (["input=[4,4,3]"], 112 + 17 * 10),
        (["classes = 0x10"], 112 + 145 * 16),
    ],
    ids=str,
)
def test_set_changes_variables(spec, settings, expected):
    options = [part for setting in settings for part in ("--set", setting)]
    assert params(spec, *options) == expected


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("classes", "'classes' is not name=value"),
        ("=3", "'=3' is not name=value"),
        ("classes=", "a value is missing after `=`"),
        ("widths=[1", "`[1` is not a value: this `[` is not closed"),
        ("classes=1\nother: 2", "is not a number, a word, a truth value or a list"),
        ("classes=.inf", "`.inf` is not a number that a spec can use"),
    ],
)
def test_set_refuses(spec, setting, complaint):
    done = run("build", spec, "--set", setting)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--set" in done.stderr
    assert complaint in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--set", "widths={a: 1}"], "`widths` cannot be set to a mapping: a variable is a number"),
        (["--set", "class=3"], "has no variable `class`; did you mean `classes`?"),
        (["--variant", "large"], "has no variant `large`; there are no variants"),
    ],
)
def test_a_name_that_the_spec_does_not_have_is_refused(spec, arguments, complaint):
    done = run("build", spec, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr


@pytest.fixture
def failing(monkeypatch):
    """Run a command that raises what it is given."""

    def invoke(error: BaseException):
        @click.command(name="fail")
        def command() -> None:
            raise error

        monkeypatch.setitem(COMMANDS, "fail", "Fail.")
        monkeypatch.setitem(sys.modules, "archspec.cli.fail", SimpleNamespace(command=command))
        return CliRunner().invoke(main, ["fail"])

    return invoke


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SpecError((Diagnostic("limit", "too large"),)), 1, "error[limit] too large"),
        (UsageError("no such thing"), 2, "error: no such thing\n"),
        (UsageError("no \x1b[2Jthing"), 2, "error: no \\x1b[2Jthing\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=["spec", "usage", "control", "interrupt"],
)
def test_each_kind_of_failure_has_its_exit_code(failing, error, code, said):
    result = failing(error)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout == ""


def test_a_bug_shows_its_traceback(failing):
    bug = ZeroDivisionError("a bug")
    assert failing(bug).exception is bug


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("archspec bu", {"build"}),
        ("archspec build --form", {"--format", "--formulas"}),
        ("archspec build squeeze", {"squeezenet", "squeeze"}),  # a network, or a file
        ("archspec show transi", {"transition", "transi"}),
        ("archspec explain sal", {"saliency"}),
        ("archspec list --tag det", {"detection"}),
        ("archspec list --tag mobile,vid", {"mobile,video"}),
        ("archspec explain saliency --targ", {"--target"}),
        ("archspec draw lenet5 --bar m", {"macs", "memory"}),
        ("archspec draw lenet5 --color k", {"kind"}),
        ("archspec draw lenet5 --show params,m", {"params,macs", "params,memory"}),
        ("archspec draw lenet5 --style ", {"graph", "maps", "table"}),
        ("archspec draw lenet5 --theme d", {"dark"}),
        ("archspec draw lenet5 --format t", {"tex", "text"}),
    ],
)
def test_a_shell_completes_commands_options_and_networks(words, expected):
    done = run(
        _ARCHSPEC_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_calls_archspec(shell):
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_ARCHSPEC_COMPLETE" in result.output
