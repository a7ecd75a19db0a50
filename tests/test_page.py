"""The page of a network, in a real browser."""

import itertools
import json
import random
import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect
from support.commands import run
from support.specs import spec_of

import archspec
from archspec.cost.optimizers import KNOWN, WRAPPER
from archspec.cost.report import Report
from archspec.cost.setting import ITEM_BYTES
from archspec.errors import UsageError
from archspec.render.amounts import byte_size
from archspec.render.page.data import page_data
from archspec.render.page.document import document

WIDE = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028 \u202e\"'&amp;"

SPEC = """
name: net
about: {about}
input: [32, 32, 3]
vars:
  classes: 10
  word: {about}
layers:
  - name: stage1
    layers:
      - name: block
        repeat: 3
        layers:
          - conv: {{filters: 8, kernel: 3, padding: same, activation: relu}}
          - conv: {{filters: 8, kernel: 3, padding: same, activation: relu}}
      - max_pool: {{size: 2}}
  - flatten
  - fc: {{units: =classes, activation: softmax}}
budget:
  params: 30K
  training_bytes: 2MB
"""


OF_ALL = """
name: small
about: A layer of each family, a block of branches and two variants
input: [32, 32, 3]
variants: {small: {}, large: {classes: 1000}}
vars: {classes: 10}
layers:
  - {name: conv1, conv: {filters: 8, kernel: 3, activation: relu}}
  - max_pool: 2
  - lrn
  - inception: {conv1x1: 4, reduce3x3: 4, conv3x3: 8, reduce5x5: 4, conv5x5: 8, pool_proj: 4}
  - global_avg_pool
  - dropout: 0.4
  - fc: {units: =classes, activation: softmax}
budget: {params: 20K, training_bytes: 9 MB}
"""
"""A small network whose page has every sort of element that GoogLeNet's has."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The function that returns the file of a network's page."""
    folder = tmp_path_factory.mktemp("pages")

    def page(spec="vgg16", **how):
        path = folder / f"{len(list(folder.iterdir()))}.html"
        return archspec.report(spec, **how).save(path)

    return page


@pytest.fixture
def vgg16(pages, open_page):
    return open_page(pages(), viewport=WIDE)


@pytest.fixture
def net(tmp_path):
    """The path of a small spec with blocks in blocks, hostile words and budgets."""
    path = tmp_path / "net.yaml"
    path.write_text(SPEC.format(about=json.dumps(HOSTILE)), encoding="utf-8")
    return path


def names(page):
    """The names of the table's rows."""
    return page.locator("#table tbody th").all_inner_texts()


def column(page, name):
    return page.locator(f"#table tbody td[data-name={name}]").all_inner_texts()


def row(page, path):
    return page.locator(f'#table tr[data-path="{path}"]')


def box(page, path):
    return page.locator(f'#figure g[data-path="{path}"]')


def focused(page):
    """The path of the row that has the focus, and the column of the cell if a cell has it."""
    script = """() => { const at = document.activeElement, row = at.closest("tr[data-path]");
        return row && [row.dataset.path, at === row ? "" : at.dataset.name] }"""
    return page.evaluate(script)


# Data


def test_rows_add_up_and_have_their_own_paths():
    for name in ("vgg16", "densenet121", "googlenet_aux", "resnet50"):
        report = archspec.report(name)
        data = page_data(report)
        assert len({each["path"] for each in data["rows"]}) == len(data["rows"])
        leaves = [each for each in data["rows"] if not each["block"]]
        for figure in ("params", "macs", "other_ops", "activations"):
            assert sum(each[figure] for each in leaves) == getattr(report.totals, figure)


def test_every_box_of_a_figure_is_a_row():
    data = page_data(archspec.report("resnet50"))
    paths = {each["path"] for each in data["rows"]}
    assert [figure["level"] for figure in data["figures"]] == [1, 2, 3]
    for figure in data["figures"]:
        assert {path for path, _, _ in figure["boxes"]} <= paths


def test_depth_folds_the_table_and_the_figures():
    data = page_data(archspec.report("resnet50"), depth=1)
    assert {each["level"] for each in data["rows"]} == {1}
    assert not any(each["block"] for each in data["rows"])
    assert [figure["level"] for figure in data["figures"]] == [1]


def test_a_network_of_24_000_layers_is_folded(tmp_path):
    spec = tmp_path / "deep.yaml"
    spec.write_text(
        "name: deep\ninput: [8, 8, 4]\nlayers:\n"
        "  - name: all\n    repeat: 12\n    layers:\n"
        "      - name: some\n        repeat: 1000\n        layers:\n"
        "          - conv: {filters: 4, kernel: 3, padding: same}\n          - activation: relu\n",
        encoding="utf-8",
    )
    data = page_data(archspec.report(spec))
    assert data["note"].startswith("Blocks are opened to 1 level:")
    assert len(document(data)) < 200_000


def test_too_many_layers_without_blocks_are_refused(tmp_path):
    spec = tmp_path / "flat.yaml"
    text = "name: flat\ninput: [8, 8, 4]\nlayers:\n" + "  - activation: relu\n" * 6_000
    spec.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"6,001 layers are too many for a page.*\.csv"):
        page_data(archspec.report(spec))
    done = run("build", spec, "-o", tmp_path / "flat.html", "--format", "json")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_page_is_one_file_that_may_load_nothing(pages):
    text = pages().read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "unsafe" not in re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert not re.search(r"\b(?:src|href)=|@import|url\(", text)


def test_save_takes_html_alone(tmp_path):
    with pytest.raises(UsageError, match="path"):
        archspec.report("lenet5").save(3)
    with pytest.raises(UsageError, match=r"is an \.html file"):
        archspec.report("lenet5").save(tmp_path / "lenet5.pdf")
    with pytest.raises(UsageError, match="cannot write"):
        archspec.report("lenet5").save(tmp_path / "no" / "lenet5.html")


# The table


def test_the_page_shows_the_table_of_build(vgg16):
    report = archspec.report("vgg16")
    rows = {each.path: each for each in report.rows()}
    assert len(rows) == 25
    for path, each in rows.items():
        cell = row(vgg16, path).locator("td[data-name=params]")
        assert cell.inner_text() == f"{each.params:,}"
    total = vgg16.locator("#table tfoot td").all_inner_texts()
    assert "138,357,544" in total
    assert vgg16.locator("#totals").inner_text().count("138,357,544") == 1


def test_a_column_sorts_and_goes_back_to_the_networks_order(vgg16):
    vgg16.locator("#levels").select_option("flat")
    before = column(vgg16, "params")
    head = vgg16.locator("th[data-name=params]")

    def numbers():
        return [int(text.replace(",", "")) for text in column(vgg16, "params")]

    head.locator("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert numbers() == sorted(numbers(), reverse=True)
    vgg16.keyboard.press("Enter")  # the head has kept the focus
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert numbers() == sorted(numbers())
    vgg16.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "none")
    assert column(vgg16, "params") == before


def test_sorting_keeps_layers_in_their_blocks(vgg16):
    vgg16.locator("th[data-name=params] button").click()
    assert names(vgg16)[:4] == ["fc1", "fc2", "stage5", "conv1"]


def test_blocks_fold_and_unfold(vgg16):
    assert "conv1" in names(vgg16)
    row(vgg16, "stage1").locator("th").click()
    expect(row(vgg16, "stage1")).to_have_attribute("aria-expanded", "false")
    expect(row(vgg16, "stage1/conv1")).to_have_count(0)
    row(vgg16, "stage1").locator("th").click()
    expect(row(vgg16, "stage1/conv1")).to_be_visible()
    vgg16.locator("#levels").select_option("1")
    expect(row(vgg16, "stage3/conv1")).to_have_count(0)
    expect(box(vgg16, "stage3/conv1")).to_have_count(0)
    expect(box(vgg16, "stage3")).to_be_visible()


def test_columns_are_chosen(vgg16):
    vgg16.locator("#columns summary").click()
    vgg16.locator("#columns input[value=stride]").check()
    vgg16.locator("#columns input[value=params]").uncheck()
    heads = vgg16.locator("#table thead th").all_inner_texts()
    assert "stride" in heads
    assert "params" not in heads
    assert column(vgg16, "stride")[:4] == ["1", "2", "1", "1"]


def test_columns_of_the_command_are_shown_at_first(open_page, tmp_path):
    page = tmp_path / "net.html"
    done = run("build", "lenet5", "--columns", "macs,kind", "-o", page)
    assert (done.returncode, done.stderr) == (0, f"wrote {page}\n")
    heads = open_page(page).locator("#table thead th").all_inner_texts()
    assert heads == ["layer", "kind", "MACs"]


def test_each_number_shows_its_arithmetic(vgg16):
    tip = vgg16.locator("#tip")
    row(vgg16, "stage1/conv1").locator("td[data-name=params]").hover()
    expect(tip).to_have_text("(3*3*3)*64 = 1,728 (+64 biases)")
    row(vgg16, "stage1/conv1").locator("td[data-name=macs]").click()
    expect(tip).to_have_text("1,728*50,176 = 86,704,128")
    chosen = vgg16.locator("#chosen")
    for text in ("(3*3*3)*64", "224*224*64 = 3,211,264 values * 4 bytes = 12.8 MB", "1 + (3-1)*1"):
        expect(chosen).to_contain_text(text)
    vgg16.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_the_receptive_field_is_drawn_to_scale(vgg16):
    row(vgg16, "stage3/pool").locator("td").first.click()
    picture = vgg16.locator("#chosen svg")
    label = "Receptive field 44 of the input 224x224x3, stride 8"
    expect(picture).to_have_attribute("aria-label", label)
    assert picture.locator(".field").get_attribute("width") == "44"
    assert picture.locator(".image").get_attribute("height") == "224"
    row(vgg16, "fc1").locator("td").first.click()
    expect(vgg16.locator("#chosen")).to_contain_text("sees the whole input")


# Figure and table


def test_the_figure_and_the_table_mark_each_other(vgg16):
    row(vgg16, "stage1/conv2").hover()
    expect(box(vgg16, "stage1/conv2")).to_have_class("marked")
    box(vgg16, "stage1/conv1").hover()
    expect(row(vgg16, "stage1/conv1")).to_have_class("marked")
    expect(box(vgg16, "stage1/conv2")).not_to_have_class("marked")
    row(vgg16, "fc1").focus()
    expect(box(vgg16, "fc1")).to_have_class("marked")


def test_a_box_leads_to_its_row(vgg16):
    expect(row(vgg16, "fc3")).not_to_be_in_viewport()
    box(vgg16, "fc3").scroll_into_view_if_needed()
    box(vgg16, "fc3").click()
    expect(row(vgg16, "fc3")).to_be_in_viewport()
    assert focused(vgg16) == ["fc3", ""]
    expect(vgg16.locator("#chosen h3")).to_have_text("fc3")


def test_a_row_marks_the_box_that_stands_for_it(pages, net, open_page):
    page = open_page(pages(net), viewport=WIDE)
    page.locator("#levels").select_option("3")
    rows = page_data(archspec.report(net))["rows"]
    inner = [each["path"] for each in rows if each["kind"] == "conv"]
    row(page, inner[-1]).hover()  # in the third of three equal blocks, which one box stands for
    expect(page.locator("#figure g.marked")).to_have_count(1)
    row(page, "stage1").locator("th").click()  # folds
    box(page, inner[0]).hover()
    expect(row(page, "stage1")).to_have_class(re.compile("marked"))


# Memory


MODELS = ("vgg16", "densenet121", "lenet5")


def settings(seed):
    """Every optimizer and dtype, and batches of every size: as Python and as the page have them."""
    draw = random.Random(seed)  # noqa: S311
    optimizers = [name for name in KNOWN if name != WRAPPER]
    for dtype, optimizer in itertools.product(ITEM_BYTES, optimizers):
        batch = draw.choice([1, 2, 7, 256, 2**31 - 1])
        how = {"batch": batch, "dtype": dtype, "optimizer": optimizer}
        yield how, how | {"training_batch": batch, "bytes": ITEM_BYTES[dtype]}


@pytest.mark.parametrize("engine", ["jax-gpu", "torch-gpu"])
def test_memory_and_its_estimate_are_those_of_python_in_every_setting(open_page, pages, engine):
    page = open_page(pages("lenet5"))
    script = """([network, settings]) => settings.map(setting => {
        const memory = archspec.memory(network.memory, setting);
        const estimate = archspec.estimated(network.estimates[0], memory, setting);
        return [Object.entries(memory).map(([k, v]) => [k, String(v)]), String(estimate)]; })"""
    for seed, spec in enumerate(MODELS):
        network = page_data(archspec.report(spec, engine=engine))
        ours, theirs = zip(*settings(seed), strict=True)
        found = page.evaluate(script, [network, theirs])
        for how, (memory, estimate) in zip(ours, found, strict=True):
            expected = archspec.report(spec, **how, engine=engine)
            assert {k: int(v) for k, v in memory} == expected.memory.to_dict(), how
            assert int(estimate) == expected.estimate.bytes, how


def test_bytes_read_as_in_the_table(open_page, pages):
    page = open_page(pages("lenet5"))
    draw = random.Random(12)  # noqa: S311
    values = [0, 1, 999, 1000, 1115, 1125, 9994, 9995, 999_499, 999_500, 99_950, 10**18]
    values += [draw.randrange(10 ** draw.randrange(1, 16)) for _ in range(2_000)]
    texts = page.evaluate("values => values.map(each => archspec.byteSize(each))", values)
    assert texts == [byte_size(value) for value in values]


@pytest.mark.parametrize("spec", ["vgg16", "lenet5"])
def test_the_controls_recompute_what_build_prints(open_page, pages, spec):
    page = open_page(pages(spec), viewport=WIDE)
    page.locator("#batch").fill("32")
    page.locator("#dtype").select_option("mixed_bfloat16")
    page.locator("#optimizer").select_option("rmsprop")
    text = run(
        *("build", spec, "--batch", "32", "--dtype", "mixed_bfloat16", "--optimizer", "rmsprop")
    ).stdout
    for name in ("must keep", "inference"):
        size = re.search(rf"^{name} +(\S+ \S+)", text, flags=re.MULTILINE)[1]
        expect(page.locator("#memory strong", has_text=name)).to_have_text(f"{name} {size}")
    report = archspec.report(spec, batch=32, dtype="mixed_bfloat16", optimizer="rmsprop")
    by_path = {each.path: each for each in report.rows()}
    for each in page.locator("#table tbody tr").all():
        if found := by_path.get(each.get_attribute("data-path")):
            size = byte_size(found.activations * 32 * 2)
            assert each.locator("td[data-name=memory]").inner_text() == size
    page.locator("#reset").click()
    must_keep = byte_size(archspec.report(spec).memory.must_keep)
    expect(page.locator("#memory strong").first).to_have_text(f"must keep {must_keep}")


@pytest.mark.parametrize(("network", "engine"), [("lenet5", "jax-gpu"), ("alexnet", "jax-tpu")])
def test_the_estimate_for_an_engine_follows_the_controls(open_page, pages, network, engine):
    page = open_page(pages(network, batch=8, engine=engine))
    page.locator("#batch").fill("67")
    page.locator("#dtype").select_option("mixed_bfloat16")
    page.locator("#optimizer").select_option("adam")
    how = {"batch": 67, "dtype": "mixed_bfloat16", "optimizer": "adam", "engine": engine}
    estimate = archspec.report(network, **how).estimate
    expect(page.locator("#memory .estimate strong")).to_have_text(
        f"{engine} {byte_size(estimate.bytes)}"
    )
    expect(page.locator("#memory .estimate")).to_contain_text(estimate.accuracy)


def test_a_budget_for_an_engine_follows_the_setting(open_page, pages):
    budget = "budget: {training_bytes: {jax-gpu: 1 MB}}\n"
    text = "name: net\ninput: [32, 32, 3]\nlayers: [conv: 16, flatten, fc: 2]\n"
    spec = spec_of(text + budget)
    page = open_page(pages(spec), viewport=WIDE)
    for batch in (1, 64):
        page.locator("#batch").fill(str(batch))
        (claim,) = archspec.report(spec, batch=batch).checks
        assert claim.holds is (batch == 1)
        verdict = page.locator("#claims tr", has_text="training_bytes")
        assert claim.found in verdict.text_content()
        assert ("holds" if claim.holds else "fails") in verdict.text_content()
    expect(page.locator("#memory .estimate")).to_have_count(0)


def test_an_optimizer_with_arguments_is_one_of_the_choices(open_page, pages):
    given = {"adam": {"amsgrad": True}}
    page = open_page(pages("lenet5", optimizer=given))
    part = page.locator("#memory [data-part=optimizer]")
    own = archspec.report("lenet5", optimizer=given).memory.optimizer
    expect(part).to_have_attribute("data-bytes", str(own))
    page.locator("#optimizer").select_option("adam")
    adam = archspec.report("lenet5", optimizer="adam").memory.optimizer
    expect(part).to_have_attribute("data-bytes", str(adam))
    page.locator("#optimizer").select_option(json.dumps(given))
    expect(part).to_have_attribute("data-bytes", str(own))


def test_a_batch_that_is_none_is_refused_and_changes_nothing(vgg16):
    before = vgg16.locator("#memory").inner_text()
    for wrong in ("0", "-3", "1.5", "", "99999999999"):
        vgg16.locator("#batch").fill(wrong)
        expect(vgg16.locator("#setting-note")).to_contain_text("whole number from 1")
        expect(vgg16.locator("#batch")).to_have_attribute("aria-invalid", "true")
    assert vgg16.locator("#memory").inner_text() == before


def test_budgets_follow_the_setting(open_page, pages, net):
    page = open_page(pages(net), viewport=WIDE)
    verdict = page.locator("#claims tr", has_text="training_bytes")
    summary = page.locator("#claims summary")
    for batch in (1, 2, 64):
        page.locator("#batch").fill(str(batch))
        checks = archspec.report(net, batch=batch).checks
        (claim,) = (each for each in checks if each.figure == "training_bytes.must_keep")
        held = sum(each.holds for each in checks)
        expect(summary).to_contain_text(f"{held} of 2 claims")
        assert claim.found in verdict.text_content()
        assert ("holds" if claim.holds else "fails") in verdict.text_content()


def test_a_claim_about_another_size_is_not_compared_with_this_one(open_page, pages):
    text = "name: open\ninput: [null, null, 3]\nlayers: [conv: 3, global_avg_pool, fc: 2]\n"
    budget = 'budget: {training_bytes: "1 GB at 64x64", inference_bytes: "9 B at 64x64"}\n'
    page = open_page(pages(spec_of(text + budget), at="32x32"), viewport=WIDE)
    for batch in (1, 64):
        page.locator("#batch").fill(str(batch))
        expect(page.locator("#claims summary")).to_contain_text("1 of 2 claims")


def test_the_variants_of_the_family_follow_the_setting(vgg16):
    vgg16.locator("#batch").fill("8")
    line = vgg16.locator("#family tr", has_text="vgg19")
    expect(line).to_contain_text("143,667,240")
    must_keep = byte_size(archspec.report("vgg19", batch=8).memory.must_keep)
    expect(line).to_contain_text(must_keep)
    expect(vgg16.locator("#family [aria-current=true]")).to_contain_text("vgg16")


# Keyboard


def test_the_table_is_walked_by_keyboard_alone(vgg16):
    row(vgg16, "input").focus()
    press = vgg16.keyboard.press
    walk = [
        ("ArrowDown", ["stage1", ""]),
        ("ArrowLeft", ["stage1", ""]),  # folds
        ("ArrowDown", ["stage2", ""]),
        ("ArrowUp", ["stage1", ""]),
        ("ArrowRight", ["stage1", ""]),  # unfolds
        ("ArrowDown", ["stage1/conv1", ""]),
        ("ArrowRight", ["stage1/conv1", "layer"]),
        ("ArrowRight", ["stage1/conv1", "label"]),
        ("End", ["stage1/conv1", "memory"]),
        ("ArrowDown", ["stage1/conv2", "memory"]),
        ("Home", ["stage1/conv2", "layer"]),
        ("ArrowLeft", ["stage1/conv2", ""]),
        ("ArrowLeft", ["stage1", ""]),
        ("Enter", ["stage1", ""]),  # chooses and folds
        ("End", ["fc3", ""]),
        ("Home", ["input", ""]),
    ]
    for key, expected in walk:
        press(key)
        assert focused(vgg16) == expected, key
    expect(row(vgg16, "stage1")).to_have_attribute("aria-expanded", "false")
    expect(vgg16.locator("#chosen h3")).to_have_text("stage1")


def test_every_control_is_reached_by_tab_and_shows_its_focus(vgg16):
    script = """() => { const at = document.activeElement;
        const place = at.id || at.parentElement.id || at.dataset.path || at.textContent;
        return [`${at.tagName.toLowerCase()} ${place}`, at.matches(":focus-visible")] }"""
    seen = []
    for _ in range(50):
        vgg16.keyboard.press("Tab")
        name, is_visible = vgg16.evaluate(script)
        if name.startswith("body"):
            break
        seen.append(name)
        assert is_visible, name
    assert seen == [
        *("input batch", "select dtype", "select optimizer", "button reset", "select levels"),
        *("summary columns", "summary keys", "div figure", "g input"),
        *(f"button {name}" for name in ("layer", "label", "output", "params", "MACs", "memory")),
        *("tr input", "section chosen", "summary 14 of 14 claims are true"),
        f"div {vgg16.locator('#family [tabindex]').text_content()}",
    ]


def test_the_figure_is_walked_by_keyboard(vgg16):
    vgg16.locator("#figure").focus()
    vgg16.keyboard.press("Tab")
    vgg16.keyboard.press("ArrowDown")
    vgg16.keyboard.press("ArrowDown")
    expect(row(vgg16, "stage1/conv1")).to_have_class("marked")
    vgg16.keyboard.press("Enter")
    assert focused(vgg16) == ["stage1/conv1", ""]


# Names, widths, print


def test_hostile_words_are_text(pages, net, open_page):
    page = open_page(pages(net), viewport=WIDE)
    expect(page.locator("#about")).to_contain_text("</script><script>alert(1)</script><img")
    expect(page.locator("#family")).to_contain_text("word = </script><script>alert(1)")
    expect(page.locator("#about")).to_contain_text(r"\u2028 \u202e")  # no control turns a line
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2


def test_a_hostile_name_of_a_graph_is_text(tmp_path, open_page):
    graph = replace(archspec.report("lenet5").graph, name=HOSTILE)
    page = open_page(Report(graph).save(tmp_path / "graph.html"))
    expect(page.locator("#name")).to_contain_text("</script><script>alert(1)</script><img")
    assert page.title().startswith("</script><script>")
    expect(page.locator("#figure text").first).to_contain_text("</script>")
    assert page.locator("script").count() == 2


@pytest.mark.parametrize("spec", ["vgg16", "googlenet", "densenet201"])
@pytest.mark.parametrize("width", [360, 2000])
def test_the_page_is_as_wide_as_the_window(pages, open_page, spec, width):
    page = open_page(pages(spec), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    row(page, "input").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_print_shows_the_whole_table_and_no_controls(vgg16):
    vgg16.emulate_media(media="print")
    assert not vgg16.locator("#columns").is_visible()
    assert not vgg16.locator("#reset").is_visible()
    pane = vgg16.locator("#table")
    assert pane.evaluate("pane => pane.scrollHeight - pane.clientHeight") <= 1
    assert vgg16.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_dark_and_light_follow_the_preference(pages, open_page):
    grounds = {
        scheme: open_page(pages("lenet5"), color_scheme=scheme).evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    }
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(24, 24, 24)"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_an_audit_finds_no_serious_barrier(pages, open_page, scheme, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(pages(spec_of(OF_ALL)), viewport=size, color_scheme=scheme)
    row(page, "conv1").locator("td").nth(1).click()
    found = axe.Axe().run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["nodes"][0]["html"]) for each in serious] == []


# Another `show`


def test_showing_a_changed_network_keeps_the_place(vgg16):
    vgg16.locator("#levels").select_option("2")
    row(vgg16, "stage2").locator("th").click()  # folds
    vgg16.locator("th[data-name=macs] button").click()
    row(vgg16, "stage4/conv1").locator("td[data-name=macs]").click()
    vgg16.locator("#batch").fill("16")
    row(vgg16, "stage4/conv1").locator("td[data-name=macs]").focus()
    before = focused(vgg16)
    scrolled = vgg16.evaluate("[scrollY, document.getElementById('table').scrollTop]")
    changed = page_data(archspec.report(archspec.load("vgg16", classes=10)))
    vgg16.evaluate("data => archspec.show(data)", changed)
    assert focused(vgg16) == before == ["stage4/conv1", "macs"]
    assert vgg16.evaluate("[scrollY, document.getElementById('table').scrollTop]") == scrolled
    expect(row(vgg16, "stage2")).to_have_attribute("aria-expanded", "false")
    expect(vgg16.locator("th[data-name=macs]")).to_have_attribute("aria-sort", "descending")
    expect(vgg16.locator("#batch")).to_have_value("16")
    expect(row(vgg16, "fc3")).to_contain_text("40,970")
    expect(vgg16.locator("#chosen h3")).to_have_text("stage4/conv1")


def test_blocks_that_are_new_are_unfolded_as_the_others(vgg16):
    vgg16.locator("#levels").select_option("2")
    resnet = page_data(archspec.report("resnet50"))
    vgg16.evaluate("data => archspec.show(data)", resnet)
    expect(row(vgg16, "stage1/unit1")).to_be_visible()
    expect(row(vgg16, "stage1/unit1/conv1")).to_have_count(0)
    assert vgg16.title() == "resnet50"
    expect(box(vgg16, "stage1/unit1")).to_be_visible()
