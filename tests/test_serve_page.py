"""The live page of `archspec serve` in a real browser."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import PATIENCE
from support.serving import Served, free_port, serving
from test_serve import SPEC, WRONG

sync_api = pytest.importorskip("playwright.sync_api", exc_type=ImportError)
for package in ("starlette", "uvicorn", "watchfiles"):
    pytest.importorskip(package)

CONFLICT = "409"
"""What Chromium notes of a save that was refused."""

GONE = "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET"
"""What Chromium notes of a server that is gone."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[tuple[Served, Path]]:
    """A server of all tests that need none of their own, and the path of its spec."""
    path: Path = tmp_path_factory.mktemp("shared") / "mine.yaml"
    path.write_text(SPEC, encoding="utf-8", newline="\n")
    with serving(path.parent) as served:
        yield served(path), path


@pytest.fixture
def path(shared) -> Path:
    """The path of the shared server's spec, which says `SPEC` again."""
    server, path = shared
    path.write_text(SPEC, encoding="utf-8", newline="\n")
    with server.events() as events:
        events.until(lambda state: (state["file"]["text"], state["stale"]) == (SPEC, False))
    return path


@pytest.fixture
def server(shared, path) -> Served:  # noqa: ARG001  (which writes the spec)
    """The shared server, whose spec says `SPEC` again."""
    return shared[0]


@pytest.fixture
def own_path(tmp_path) -> Path:
    """The path of a spec of which a test starts servers of its own."""
    path: Path = tmp_path / "mine.yaml"
    path.write_text(SPEC, encoding="utf-8", newline="\n")
    return path


def expect(thing: Any) -> Any:
    sync_api.expect.set_options(timeout=PATIENCE)
    return sync_api.expect(thing)


class Live:
    """The parts of the page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.network = page.frame_locator("#live-page")
        self.frame = page.locator("#live-page")
        self.text = page.get_by_role("textbox", name="Text of the spec")
        self.mistakes = page.locator("#live-problems li")
        self.status = page.locator("#live-status")
        self.notice = page.locator("#live-notice")
        self.save = page.get_by_role("button", name="Save", exact=True)
        self.dialog = page.get_by_role("dialog")

    def shows(self, params: int) -> None:
        """Wait until the network on the page has so many parameters."""
        expect(self.network.locator("#totals")).to_contain_text(f"parameters{params:,}")

    def write(self, text: str) -> None:
        """Type a text in place of the one that is there."""
        self.text.focus()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)

    def holds(self, text: str) -> None:
        """Wait until the editor has this text, whatever hints stand behind its lines."""
        expect(self.text.locator(".cm-line")).to_contain_text(text.split("\n"))


@pytest.fixture
def live(open_page):
    def opened(server, expected: str = "", **window: Any) -> Live:
        page = Live(open_page(server.url, expected, **window))
        expect(page.status).not_to_have_text("loading")
        return page

    return opened


def params(width: int = 8, classes: int = 10) -> int:
    """Parameters of `SPEC`."""
    return (27 + 1) * width + (width + 1) * classes


def written(width: int) -> str:
    return SPEC.replace("width: 8", f"width: {width}")


def test_a_save_of_the_file_is_drawn(server, live, path):
    page = live(server)
    page.shows(params())
    path.write_text(written(9), encoding="utf-8")
    page.shows(params(9))
    page.holds(written(9))
    expect(page.status).to_have_text("saved")


def test_a_mistake_is_shown_at_its_line_before_the_last_good_picture(server, live, path):
    page = live(server)
    page.shows(params())
    path.write_text(WRONG, encoding="utf-8")
    expect(page.mistakes).to_have_text(
        re.compile(r"7:5 there is no kind of step called `global_avg_pol`.*`global_avg_pool`")
    )
    expect(page.page.locator(".cm-lintRange-error")).to_have_text("global_avg_pol")
    expect(page.page.locator("#live-stale")).to_be_visible()
    page.shows(params())
    path.write_text(written(9), encoding="utf-8")
    expect(page.mistakes).to_have_count(0)
    expect(page.page.locator("#live-stale")).to_be_hidden()
    page.shows(params(9))


def test_a_page_that_is_opened_on_a_mistake_shows_it(serve, live, own_path):
    own_path.write_text(WRONG, encoding="utf-8")
    page = live(serve(own_path))
    expect(page.mistakes).to_have_count(1)
    expect(page.frame).to_be_hidden()
    own_path.write_text(SPEC, encoding="utf-8")
    page.shows(params())


def test_a_text_is_drawn_and_checked_while_one_types_and_written_when_one_saves(server, live, path):
    page = live(server)
    page.shows(params())
    page.write(written(16))
    page.shows(params(16))
    expect(page.status).to_have_text("not saved")
    page.write(WRONG)
    expect(page.mistakes).to_have_count(1)
    page.shows(params(16))
    assert path.read_text(encoding="utf-8") == SPEC
    page.write(written(32))
    expect(page.mistakes).to_have_count(0)
    page.page.keyboard.press("Control+s")
    expect(page.status).to_have_text("saved")
    assert path.read_text(encoding="utf-8") == written(32)
    page.shows(params(32))


def test_a_text_that_is_as_saved_again_is_not_unsaved(server, live):
    page = live(server)
    page.text.focus()
    page.page.keyboard.press("Control+End")
    page.page.keyboard.insert_text("# more")  # at once, so that it is undone at once
    expect(page.save).to_be_enabled()
    page.page.keyboard.press("Control+z")
    expect(page.status).to_have_text("saved")
    expect(page.save).to_be_disabled()


def test_a_mend_is_one_press_away(server, live, path):
    path.write_text(WRONG, encoding="utf-8")
    page = live(server)
    page.page.locator(".cm-lintRange-error").hover()
    page.page.get_by_role("button", name="Replace `global_avg_pol` by `global_avg_pool`").click()
    page.holds(SPEC)
    expect(page.mistakes).to_have_count(0)
    page.save.click()
    expect(page.status).to_have_text("saved")
    assert path.read_text(encoding="utf-8") == SPEC


def test_words_are_completed_and_explained(server, live):
    page = live(server)
    page.shows(params())
    page.text.focus()
    page.page.keyboard.press("Control+End")
    page.page.keyboard.type("  - global_av")
    page.page.keyboard.press("Control+ ")
    first = page.page.get_by_role("listbox").get_by_role("option").first
    expect(first).to_contain_text("global_avg_pool")
    first.click()  # Enter is a new line for the first moments of a list
    expect(page.text.locator(".cm-line").last).to_contain_text("- global_avg_pool")
    page.page.locator(".cm-line", has_text="conv").locator("span", has_text="conv").first.hover()
    explained = page.page.locator(".live-help")
    expect(explained).to_contain_text("onvolution")
    expect(explained.get_by_role("cell", name="filters", exact=True)).to_be_visible()


def test_what_a_step_gives_stands_behind_it(server, live):
    page = live(server)
    hint = page.page.locator(".cm-line", has_text="name: stem").locator(".live-hint")
    expect(hint).to_contain_text("14x14x8")
    page.write(written(9))
    expect(hint).to_contain_text("14x14x9")


def test_a_mistake_in_the_list_leads_to_its_place(server, live, path):
    path.write_text(WRONG, encoding="utf-8")
    page = live(server)
    page.mistakes.get_by_role("button").click()
    page.page.keyboard.insert_text("x_")
    page.holds(WRONG.replace("global_avg_pol", "x_global_avg_pol"))


def test_two_people_see_the_same_and_neither_loses_a_text(server, live, path):
    one, two = live(server, CONFLICT), live(server)
    one.write(written(16))
    two.write(written(32))
    two.save.click()
    expect(two.status).to_have_text("saved")
    # The first is told, and keeps what was typed.
    expect(one.notice).to_contain_text("was changed by another program")
    one.holds(written(16))
    one.shows(params(16))
    one.save.click()
    expect(one.dialog).to_contain_text("was changed by another program")
    expect(one.dialog).to_contain_text("width: 32")
    expect(one.dialog).to_contain_text("width: 16")
    assert path.read_text(encoding="utf-8") == written(32)
    one.dialog.get_by_role("button", name="Save yours").click()
    expect(one.dialog).to_be_hidden()
    expect(one.status).to_have_text("saved")
    two.shows(params(16))
    two.holds(written(16))
    assert path.read_text(encoding="utf-8") == written(16)


def test_the_other_text_may_be_taken_and_ones_own_comes_back_by_undo(server, live, path):
    page = live(server)
    page.shows(params())
    page.write(written(16))
    path.write_text(written(32), encoding="utf-8")
    expect(page.notice).to_be_visible()
    page.page.get_by_role("button", name="Compare").click()
    page.dialog.get_by_role("button", name="Take the file's").click()
    page.holds(written(32))
    page.shows(params(32))
    expect(page.notice).to_be_hidden()
    page.text.focus()
    page.page.keyboard.press("Control+z")
    page.holds(written(16))
    assert path.read_text(encoding="utf-8") == written(32)


def test_a_deleted_file_is_said_and_can_be_saved_again(server, live, path):
    page = live(server)
    page.shows(params())
    path.unlink()
    expect(page.mistakes).to_contain_text("there is no such file")
    expect(page.status).to_have_text("the file is gone")
    page.holds(SPEC)
    page.shows(params())
    page.save.click()
    expect(page.status).to_have_text("saved")
    expect(page.mistakes).to_have_count(0)
    assert path.read_text(encoding="utf-8") == SPEC


def test_a_file_that_comes_back_is_loaded(server, live, path):
    page = live(server)
    path.unlink()
    expect(page.status).to_have_text("the file is gone")
    path.write_text(written(9), encoding="utf-8")
    page.holds(written(9))
    page.shows(params(9))


def test_a_page_finds_the_next_server_and_keeps_what_was_typed(serve, live, own_path):
    port = free_port()
    server = serve(own_path, "--port", port)
    page = live(server, GONE)
    page.write(written(16))
    expect(page.status).to_have_text("not saved")
    assert server.stop() == 130
    expect(page.status).to_have_text("the server is gone; looking for it")
    expect(page.save).to_be_disabled()
    serve(own_path, "--port", port)
    expect(page.status).to_have_text("not saved")
    page.holds(written(16))
    page.shows(params(16))
    page.save.click()
    expect(page.status).to_have_text("saved")
    assert own_path.read_text(encoding="utf-8") == written(16)


def test_of_fifty_saves_a_second_the_last_is_shown(server, live, path):
    page = live(server)
    for width in range(1, 101):
        path.write_text(written(width), encoding="utf-8")
        time.sleep(0.02)
    page.shows(params(100))
    page.holds(written(100))
    expect(page.mistakes).to_have_count(0)


def test_variants_and_variables_change_the_picture_of_one_window(server, live, path):
    one, two = live(server), live(server)
    one.page.get_by_label("variant").select_option("wide")
    one.shows(params(64))
    one.page.get_by_label("classes").fill("3")
    one.shows(params(64, 3))
    one.page.get_by_label("classes").fill("[")
    expect(one.page.locator("#live-problem")).to_contain_text("`classes`: `[` is not a value")
    one.shows(params(64, 3))
    one.page.get_by_role("button", name="As written").click()
    one.shows(params(64))
    expect(one.page.locator("#live-problem")).to_be_hidden()
    two.shows(params())
    assert path.read_text(encoding="utf-8") == SPEC


def test_a_changed_variable_stays_when_the_text_changes(server, live, path):
    page = live(server)
    page.page.get_by_label("classes").fill("3")
    page.shows(params(8, 3))
    path.write_text(written(9), encoding="utf-8")
    page.shows(params(9, 3))
    page.write(written(16))
    page.shows(params(16, 3))


def test_a_variant_that_the_text_loses_gives_way_to_the_first(server, live, path):
    page = live(server)
    page.page.get_by_label("variant").select_option("wide")
    page.shows(params(64))
    path.write_text(SPEC.replace("wide:", "wider:"), encoding="utf-8")
    page.shows(params())
    expect(page.page.locator("#live-problem")).to_be_hidden()


def test_a_page_out_of_sight_holds_no_connection_and_is_told_the_latest_later(server, live, path):
    page = live(server)
    page.shows(params())
    turn = """state => {
      Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.page.evaluate(turn, "hidden")
    other = live(server)
    path.write_text(written(9), encoding="utf-8")
    other.shows(params(9))
    page.shows(params())
    page.page.evaluate(turn, "visible")
    page.shows(params(9))


def test_a_network_of_archspec_is_read_only(serve, live):
    page = live(serve("vgg16"))
    page.shows(138_357_544)
    expect(page.status).to_have_text("read-only")
    expect(page.save).to_be_hidden()
    page.text.focus()
    page.page.keyboard.type("# mine")
    expect(page.page.locator(".cm-content")).not_to_contain_text("# mine")


def test_what_is_drawn_again_stays_scrolled_and_folded(server, live, path):
    page = live(server, viewport={"width": 1200, "height": 500})
    page.shows(params())
    page.network.locator("#batch").fill("7")
    page.network.locator("#convention").scroll_into_view_if_needed()
    frame = page.page.frame(url=re.compile("network$"))
    before = frame.evaluate("scrollY")
    path.write_text(written(9), encoding="utf-8")
    page.shows(params(9))
    assert frame.evaluate("scrollY") == before > 0
    expect(page.network.locator("#batch")).to_have_value("7")


@pytest.mark.parametrize("width", [360, 2000])
def test_nothing_is_wider_than_the_window(server, live, width):
    page = live(server, viewport={"width": width, "height": 800})
    page.shows(params())
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_editor_can_be_folded_away_and_left_by_keyboard(server, live):
    page = live(server)
    page.text.focus()
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Tab")
    expect(page.text).not_to_be_focused()
    page.page.get_by_role("button", name="Editor").press("Enter")
    expect(page.text).to_be_hidden()


def test_names_are_text_whatever_they_hold(server, live, path):
    markup = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    path.write_text(f"about: '{markup}'\n{SPEC}", encoding="utf-8")
    page = live(server)
    page.shows(params())
    expect(page.network.locator("#about")).to_have_text(markup)
    path.write_text(SPEC.replace("stem", markup), encoding="utf-8")
    expect(page.mistakes).to_contain_text("onerror")
