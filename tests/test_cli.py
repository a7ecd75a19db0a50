"""`archspec build` and `check` as a user runs them: streams, exit codes, files, terminals."""

import csv
import io
import json
import os
import re
import subprocess
import sysconfig
import zipfile
from pathlib import Path

import pytest
from support.commands import BACKEND, LONG, on_terminal, run

from archspec.cost.report import report
from archspec.spec.loading import load

COMMAND = str(Path(sysconfig.get_path("scripts"), "archspec"))

MINE = """\
name: mine
input: [8, 8, 3]
vars: {filters: 4}
variants: {narrow: {}, wide: {filters: 8}}
layers:
  - {name: stem, conv: {filters: =filters, kernel: 3, activation: relu}}
  - global_avg_pool
  - fc: 10
"""


def mine(folder: Path, text: str = MINE) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


# build: the table.


def test_the_table_is_all_that_a_build_prints():
    done = run("build", "vgg16")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == str(report(load("vgg16")))


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["vgg"], "vgg11"),  # a family stands for its first variant ...
        (["alexnet"], "alexnet"),  # ... or the one that is called like it
        (["vgg", "--variant", "vgg19"], "vgg19"),
        (["vgg16", "--batch", "32"], "batch 32"),
        (["vgg16", "--dtype", "mixed_float16"], "float16"),
        (["vgg16", "--optimizer", "momentum"], "momentum 553 MB"),
        (["vgg16", "--depth", "1"], "3 x CONV3-512, POOL2"),
        (["vgg16", "--ops"], "stage1/conv1/activation"),
        (["vgg16", "--columns", "layer, kind,activations"], "activations"),
        (["vgg16", "--formulas"], "params: (3*3*3)*64 = 1,728 (+64 biases)"),
        (["vgg16", "--set", "classes=10"], "134,301,514"),
        (["vgg16", "--set", "depth=[1,1,1,1,1]", "--set", "input=[32,32,1]"], "input 32x32x1"),
    ],
)
def test_an_option_of_build(arguments, shown):
    done = run("build", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout


def test_a_file_is_built_like_what_is_bundled(tmp_path):
    done = run("build", mine(tmp_path))
    assert done.stdout.splitlines()[0] == "narrow"
    assert run("build", "mine.yaml", "--variant", "wide", cwd=tmp_path).stdout.startswith("wide\n")


def test_a_spec_in_json_is_a_spec(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"name": "net", "input": [8, 3], "layers": ["flatten", {"fc": 5}]}')
    assert "125" in run("build", str(path)).stdout


@pytest.mark.parametrize("form", ["text", "json", "csv", "markdown"])
def test_a_format_stands_alone_on_standard_output(form):
    done = run("build", "lenet5", "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    if form == "json":
        assert json.loads(done.stdout) == report(load("lenet5")).to_dict()
    elif form == "csv":
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        assert sum(int(row["params"]) for row in rows) == 61_706
    else:
        assert "61,706" in done.stdout


def test_json_has_the_rows_that_are_asked_for():
    done = run("build", "lenet5", "--format", "json", "--ops")
    assert json.loads(done.stdout) == report(load("lenet5")).to_dict(ops=True)
    assert json.loads(done.stdout)["rows"] != report(load("lenet5")).to_dict()["rows"]


def test_what_is_published_and_wrong_is_in_the_table(tmp_path):
    claims = "published: {narrow: {params: 5, weight_layers: 2, source: nowhere}}\n"
    done = run("build", mine(tmp_path, MINE + claims))
    assert done.returncode == 0
    assert done.stdout.endswith(
        "published    weight_layers agree\n             params is 162, not 5\n"
        "             source: nowhere\n"
    )


# build: files.


def test_one_build_writes_several_files(tmp_path):
    names = ["a.json", "b.csv", "c.md", "d.txt", "e.yaml"]
    outputs = [part for name in names for part in ("-o", name)]
    done = run("build", "lenet5", "--depth", "1", "--formulas", *outputs, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"wrote {name}" for name in names]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    data = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert data["totals"]["params"] == 61_706
    table = (tmp_path / "b.csv").read_text(encoding="utf-8")
    assert table.startswith("layer,kind,label,shared_with,output,")
    assert (tmp_path / "c.md").read_text(encoding="utf-8").startswith("### lenet5\n")
    assert (tmp_path / "d.txt").read_text(encoding="utf-8") == done.stdout


def test_a_spec_that_was_written_is_the_same_network(tmp_path):
    done = run("build", mine(tmp_path), "--variant", "wide", "-o", str(tmp_path / "wide.yaml"))
    assert done.returncode == 0
    written = load(str(tmp_path / "wide.yaml"))
    assert written.name == "wide"
    assert report(written).totals == report(load(mine(tmp_path), "wide")).totals


@pytest.mark.keras
def test_a_model_is_written_whole_and_verified(tmp_path):
    path = tmp_path / "m.keras"
    done = run("build", "lenet5", "--verify", "--format", "json", "-o", path, engine=BACKEND)
    assert done.returncode == 0
    assert json.loads(done.stdout)["name"] == "lenet5"
    lines = done.stderr.splitlines()
    assert lines[-1] == f"wrote {path}"
    assert "verified against Keras: 14 tensors, 10 weights, 61,706 parameters, all equal" in lines
    assert "config.json" in zipfile.ZipFile(path).namelist()
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]


# build: mistakes. 2 is the command line's, 1 the spec's; neither prints a table.


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing argument 'SPEC'"),
        (["a:" + "b" * 5_000], 2, "there is no spec called `a`"),
        (["vgg61"], 2, "there is no spec called `vgg61`; did you mean `vgg"),
        (["nowhere.yaml"], 1, "nowhere.yaml: error[file] there is no such file"),
        (["vgg", "--variant", "vgg61"], 2, "has no variant `vgg61`; did you mean `vgg"),
        (["vgg16", "--batch", "0"], 2, "0 is not in the range x>=1"),
        (["vgg16", "--batch", "few"], 2, "'few' is not a valid whole number"),
        (["vgg16", "--depth", "0"], 2, "0 is not in the range x>=1"),
        (["vgg16", "--depht", "2"], 2, "No such option"),
        (["vgg16", "--depht", "2"], 2, "'--depth'"),
        (["vgg16", "--columns", "layer,mac"], 2, "there is no column `mac`; did you mean `macs`?"),
        (
            ["vgg16", "--dtype", "float31"],
            2,
            "dtype `float31` is not known; did you mean `float32`",
        ),
        (["vgg16", "--optimizer", "adm"], 2, "optimizer `adm` is not known; did you mean `adam`?"),
        (["vgg16", "--format", "pdf"], 2, "'pdf' is not one of 'text', 'json', 'csv', 'markdown'"),
        (["vgg16", "--formulas", "--format", "csv"], 2, "--formulas goes with --format text"),
        (["vgg16", "--formulas", "--columns", "layer"], 2, "--columns does not go with --formulas"),
        (["vgg16", "--format", "json", "--columns", "macs"], 2, "does not go with JSON"),
        (["vgg16", "--columns", "macs", "-o", "vgg.json"], 2, "does not go with JSON"),
        (["vgg16", "--set", "classes"], 2, "is not name=value"),
        (["vgg16", "--set", "clases=5"], 2, "did you mean `classes`?"),
        (["vgg16", "--set", "classes=x"], 1, "error[type] `units` of `fc` must be a whole number"),
        (["vgg16", "-o", "model.h5"], 2, "model.h5: the suffix says what to write: .html, .keras"),
        (["vgg16", "-o", "model"], 2, "the suffix says what to write"),
        (["vgg16", "-o", "nowhere/model.keras"], 2, "there is no folder nowhere"),
        (["vgg16", "-o", "good.json", "-o", "bad.png"], 2, "bad.png"),
        (["vgg16", "-o", "a.csv", "-o", "a.csv"], 2, "a.csv is given twice"),
    ],
)
def test_a_mistake_of_build(arguments, code, message, tmp_path):
    done = run("build", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file_to_write(tmp_path):
    (tmp_path / "model.json").mkdir()
    done = run("build", "vgg16", "-o", "model.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "model.json is a folder" in done.stderr


def test_a_wrong_spec_is_shown_with_its_line_on_standard_error(tmp_path):
    done = run("build", mine(tmp_path, MINE.replace("kernel", "kernl")))
    assert (done.returncode, done.stdout) == (1, "")
    assert "mine.yaml:6:44: error[unknown-key] `conv` has no argument `kernl`" in done.stderr
    assert "help: did you mean `kernel`?" in done.stderr


# check.


def test_check_proves_every_variant(tmp_path):
    done = run("check", "lenet5", mine(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "lenet5  ok         61,706 parameters         416,520 MACs  9 claims",
        "narrow  ok            162 parameters           3,928 MACs  0 claims",
        "wide    ok            314 parameters           7,856 MACs  0 claims",
        "3 networks, 9 claims: all hold",
    ]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["mine.yaml", "--variant", "wide"], ["wide"]),
        (["vgg16"], ["vgg16"]),
        (["vgg"], ["vgg11", "vgg11_lrn", "vgg13", "vgg16_c", "vgg16", "vgg19"]),
        (["mine.yaml", "--set", "filters=2"], ["narrow", "wide"]),
    ],
)
def test_what_check_looks_at(arguments, names, tmp_path):
    mine(tmp_path)
    *lines, _ = run("check", *arguments, cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines] == names


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        (
            "published: {wide: {params: 5, source: table 9}}",
            "mine.yaml:9:28: error[published] params of wide is 314, not 5",
        ),
        (
            "published: {wide: {stages: {stem: [7, 7, 8]}, source: table 9}}",
            "mine.yaml:9:35: error[published] stage stem of wide is 6x6x8, not 7x7x8",
        ),
        (
            "budget: {params: 200}",
            "mine.yaml:9:18: error[budget] params of wide is 314, not <= 200",
        ),
        (
            "expect: {macs: '< 5K'}",
            "mine.yaml:9:16: error[expect] macs of wide is 7,856, not < 5,000",
        ),
    ],
)
def test_a_claim_that_does_not_hold_fails_the_check(claims, problem, tmp_path):
    mine(tmp_path, MINE + claims)
    done = run("check", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["narrow", "ok"],
        ["wide", "failed"],
    ]
    assert problem in done.stderr
    assert done.stderr.endswith("1 of 2 networks failed\n")


def test_a_mistake_in_every_variant_is_said_once(tmp_path):
    mine(tmp_path, MINE.replace("kernel", "kernl"))
    done = run("check", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("error[unknown-key]") == 1
    assert done.stderr.endswith("2 of 2 networks failed\n")


def test_check_goes_on_after_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "broken.yaml").write_text("name: [", encoding="utf-8")
    done = run("check", "broken.yaml", "lenet5", cwd=tmp_path)
    assert done.returncode == 1
    assert "broken.yaml:" in done.stderr
    assert done.stdout.splitlines()[0] == "broken.yaml  failed"
    assert done.stdout.splitlines()[1].startswith("lenet5       ok")
    assert done.stderr.endswith("1 of 2 networks failed\n")


@pytest.mark.parametrize(
    "arguments", [[], ["vgg61"], ["vgg", "vgg61"], ["vgg", "--variant", "vgg61"]]
)
def test_a_mistake_of_check(arguments):
    done = run("check", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


# Pipes and terminals.


@pytest.mark.parametrize(
    "arguments", ["build cifar_resnet1202", "check resnet", "build vgg16", "schema"]
)
def test_a_pipe_may_be_closed_early(arguments):
    script = f'"{COMMAND}" {arguments} | head -n 1'
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=False, timeout=LONG
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("command", ["build", "compare"])
def test_files_are_written_though_nobody_reads_what_is_printed(command, tmp_path):
    ours, theirs = os.pipe()
    os.close(ours)
    files = ["a.json", "b.csv", "c.md"]
    outputs = [part for file in files for part in ("-o", file)]
    done = subprocess.run(
        [COMMAND, command, "vgg16", *outputs],
        stdout=theirs,
        stderr=theirs,
        check=False,
        cwd=tmp_path,
        timeout=LONG,
    )
    os.close(theirs)
    assert done.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_a_terminal_shows_colours():
    shown = on_terminal("build", "vgg16", columns=100)
    assert shown.startswith("\x1b[1mvgg16\x1b[0m\n")
    assert "\x1b[32mparams, macs" in shown
    assert "\x1b[32mok\x1b[0m" in on_terminal("check", "lenet5", columns=100)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_may_ask_for_no_colours(environment):
    assert "\x1b" not in on_terminal("build", "vgg16", columns=100, **environment)
    assert "\x1b" not in on_terminal("build", "vgg61", columns=100, **environment)


@pytest.mark.parametrize("columns", [40, 60, 80, 132])
def test_a_table_fits_its_on_terminal(columns):
    shown = re.sub(r"\x1b\[[\d;]*m", "", on_terminal("build", "resnet50", columns=columns))
    assert max(map(len, shown.splitlines())) <= columns
    assert "25,610,152" in shown


def test_a_pipe_gets_the_whole_table_whatever_the_on_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert run("build", "resnet50").stdout == str(report(load("resnet50")))


def test_a_recipe_is_checked_with_the_rest(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(
        "name: net\ninput: [8, 8, 3]\nlayers: [flatten]\n"
        "train: {epochs: 0, optimzer: adam}\nexpect: {params: 3}\n"
    )
    done = run("check", str(path))
    assert done.returncode == 1
    for said in ("`train.epochs` must be", "did you mean `optimizer`?", "error[expect]"):
        assert said in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "net.json", "-o", "net.json"],
        ["build", "-o", "./net.json", "net.json:wide"],
        ["check", "-o", "net.json", "net.json"],
        ["compare", "vgg16", "net.json", "-o", "net.json"],
        ["compare", "net.json", "-o", "link.json"],
        ["probe", "net.json", "-o", "net.json"],
    ],
    ids=" ".join,
)
def test_a_spec_is_not_written_over(tmp_path, arguments):
    path = tmp_path / "net.json"
    path.write_text('{"name": "net", "input": [8, 8, 3], "layers": ["flatten"]}')
    (tmp_path / "link.json").symlink_to(path)
    before = path.read_text()
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "is what is read: name another file" in done.stderr
    assert path.read_text() == before


def test_a_full_disk_is_said_in_a_line():
    command = [COMMAND, "build", "lenet5"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: cannot write: No space left on device\n")
