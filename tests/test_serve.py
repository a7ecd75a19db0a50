"""`archspec serve`: the file, what the server answers and refuses, and the page in a browser."""

import asyncio
import hashlib
import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.commands import run
from support.serving import LONG, Served, free_port, serving

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("watchfiles")

from archspec.assist.places import Units
from archspec.errors import SpecError, UsageError
from archspec.serve.answers import Reader
from archspec.serve.spec_file import MISSING, UNREADABLE, ChangedError, SpecFile
from archspec.serve.worker import Worker

ROOT = Path(__file__).parent.parent

SPEC = """\
name: mine
input: [16, 16, 3]
vars: {width: 8, classes: 10}
variants: {mine: {}, wide: {width: 64}}
layers:
  - {conv: {filters: =width, kernel: 3}, name: stem}
  - global_avg_pool
  - fc: =classes
"""

WRONG = SPEC.replace("global_avg_pool", "global_avg_pol")

CODEMIRROR = "29b1882fd44101721ff773e940c257d63cff763771c95ca3330c3307d8b6de3c"
"""SHA-256 of what `make editor` builds from the versions in editors/page."""

not_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything"
)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "work").mkdir()
    path = tmp_path / "work" / "mine.yaml"
    path.write_text(SPEC, encoding="utf-8", newline="\n")
    return path


def test_the_bundled_editor_is_the_one_that_its_versions_give():
    bundle = ROOT / "archspec" / "serve" / "static" / "codemirror.js"
    assert hashlib.sha256(bundle.read_bytes()).hexdigest() == CODEMIRROR


def test_the_editors_readme_states_the_versions_that_are_bundled():
    folder = ROOT / "editors" / "page"
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    wanted = package["dependencies"] | package["devDependencies"]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    stated = dict(
        re.findall(r"^\| (\S+?),?(?: which [^|]*)? \| ([\d.]+) \|$", readme, re.MULTILINE)
    )
    assert stated == wanted
    for name, version in wanted.items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version


# The file


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (b"a\nb\n", "a\nc\n", b"a\nc\n"),
        (b"a\r\nb\r\n", "a\nc\n", b"a\r\nc\r\n"),
        (b"a\r\nb", "a\nb", b"a\r\nb"),
        (b"a\r\nb", "a\nb\nc", b"a\r\nb\r\nc"),
        (b"\xef\xbb\xbfa\n", "b\n", b"\xef\xbb\xbfb\n"),
        (b"", "a\n", b"a\n"),
        # Each line that did not change keeps its end; the others get the most common one.
        (b"a\r\nb\nc\r\nd\n", "a\nb\nx\nc\nd\n", b"a\r\nb\nx\r\nc\r\nd\n"),
        (b"a\nb\rc\r\n", "a\nb\nc\n", b"a\nb\rc\r\n"),
        ("a: \u2028é\n".encode(), "a: \u2028ü\n", "a: \u2028ü\n".encode()),
    ],
)
def test_a_save_keeps_the_ends_of_lines_and_the_byte_order_mark(path, before, text, after):
    path.write_bytes(before)
    file = SpecFile(str(path))
    saved = file.save(text, file.read().version)
    assert path.read_bytes() == after
    assert saved == file.read()
    assert saved.text == text


def test_a_save_keeps_the_permissions_and_leaves_nothing_beside_the_file(path):
    path.chmod(0o640)
    file = SpecFile(str(path))
    file.save("name: a\n", file.read().version)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_a_change_made_meanwhile_is_not_overwritten(path):
    file = SpecFile(str(path))
    version = file.read().version
    path.write_text("name: theirs\n", encoding="utf-8")
    with pytest.raises(ChangedError) as caught:
        file.save("name: ours\n", version)
    assert caught.value.content.text == "name: theirs\n"
    assert path.read_text(encoding="utf-8") == "name: theirs\n"


def test_a_deleted_file_is_written_again_only_by_somebody_who_knows_that_it_is_gone(path):
    file = SpecFile(str(path))
    version = file.read().version
    path.unlink()
    with pytest.raises(ChangedError) as caught:
        file.save("name: ours\n", version)
    assert (caught.value.content.version, caught.value.content.text) == (MISSING, None)
    assert not path.exists()
    assert file.save("name: ours\n", MISSING).text == "name: ours\n"
    with pytest.raises(ChangedError):
        file.save("name: again\n", MISSING)


def test_a_folder_in_the_files_place_is_said_and_not_replaced(path):
    file = SpecFile(str(path))
    path.unlink()
    path.mkdir()
    content = file.read()
    assert (content.version, content.text) == (UNREADABLE, None)
    assert content.problems[0].message == "this is a directory"
    with pytest.raises(UsageError, match="cannot be replaced: this is a directory"):
        file.save("name: ours\n", content.version)


@not_root
def test_a_file_that_may_not_be_read_is_not_replaced(path):
    file = SpecFile(str(path))
    path.chmod(0)
    assert file.read().problems[0].message == "no permission to read this file"
    with pytest.raises(UsageError, match="no permission to read"):
        file.save("name: ours\n", UNREADABLE)


def test_a_link_is_followed_once(tmp_path, path):
    link, other = tmp_path / "link.yaml", tmp_path / "secret.txt"
    other.write_text("secret", encoding="utf-8")
    link.symlink_to(path)
    file = SpecFile(str(link))
    link.unlink()
    link.symlink_to(other)
    assert file.read().text == SPEC
    path.unlink()
    path.symlink_to(other)
    content = file.read()
    assert content.text is None
    assert "symbolic link" in content.problems[0].message
    with pytest.raises(UsageError, match="symbolic link"):
        file.save("name: ours\n", content.version)
    assert other.read_text(encoding="utf-8") == "secret"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\xff\xfe", "this is not UTF-8 text"),
        (b"#" * (2**20 + 1), "the spec is larger than 1 MiB"),
    ],
)
def test_what_is_no_text_has_the_sentence_of_build(path, raw, message):
    path.write_bytes(raw)
    content = SpecFile(str(path)).read()
    assert (content.text, content.problems[0].message) == (None, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [("#" * (2**20 + 1), "larger than 1 MiB"), ("\ud800", "half of a surrogate pair")],
)
def test_a_text_that_could_not_be_read_again_is_not_written(path, text, message):
    file = SpecFile(str(path))
    with pytest.raises(UsageError, match=message):
        file.save(text, file.read().version)
    assert path.read_text(encoding="utf-8") == SPEC


def test_there_must_be_a_file_at_the_start(tmp_path):
    with pytest.raises(SpecError, match="there is no such file"):
        SpecFile(str(tmp_path / "none.yaml"))


# Answers about a text


@pytest.mark.parametrize("text", ["abc", "a\U0001f600b", "\U0001f600\U0001f600", "é\u2028\n", ""])
def test_offsets_are_counted_as_browsers_count_them(text):
    units = Units(text)
    for offset in range(len(text) + 1):
        unit = len(text[:offset].encode("utf-16-le")) // 2
        assert units.unit(offset) == unit
        assert units.offset(unit) == offset
    assert units.offset(10**9) == len(text)
    assert units.offset(-1) == 0


def look(text: str, **view: Any) -> Any:
    return Reader().answer({"ask": "look", "text": text, "name": "mine.yaml", **view})


def test_a_mistake_is_at_its_place():
    text = "# \U0001f600\n" + WRONG
    said, page = look(text)
    (mistake,) = said["mistakes"]
    start = len(text[: text.index("global_avg_pol")].encode("utf-16-le")) // 2
    assert (mistake["line"], mistake["column"], mistake["code"]) == (8, 5, "unknown-kind")
    assert (mistake["from"], mistake["to"]) == (start, start + len("global_avg_pol"))
    assert mistake["help"] == "did you mean `global_avg_pool`?"
    assert page is None


def test_a_variant_and_variables_are_chosen():
    said, page = look(SPEC, variant="wide", variables={"classes": "3"})
    assert (said["variant"], said["variants"]) == ("wide", ["mine", "wide"])
    assert {each["name"]: (each["written"], each["value"]) for each in said["variables"]} == {
        "input": ("[16, 16, 3]", "[16, 16, 3]"),
        "width": ("64", "64"),
        "classes": ("10", "3"),
    }
    assert page is not None


def test_the_variables_of_a_text_are_told_also_if_others_were_chosen():
    said, _ = look(SPEC, variables={"gone": "1"})
    assert [each["name"] for each in said["variables"]] == ["input", "width", "classes"]


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        ({"variables": {"classes": "["}}, "`classes`: `[` is not a value"),
        ({"variables": {"no": "1"}}, "mine.yaml has no variable `no`"),
        ({"variant": "no"}, "mine.yaml has no variant `no`"),
    ],
)
def test_a_wrong_choice_is_said(view, sentence):
    said, page = look(SPEC, **view)
    assert said["problem"].startswith(sentence)
    assert page is None


def test_a_value_that_does_not_fit_is_a_mistake_of_the_network():
    said, page = look(SPEC, variables={"classes": "-1"})
    assert page is None
    assert "-1" in said["mistakes"][0]["message"]


def test_a_worker_that_is_too_slow_or_ends_is_replaced():
    question = {"ask": "look", "text": SPEC, "name": "mine.yaml"}

    async def ask() -> list[Any]:
        worker = Worker(seconds=0)
        slow = await worker.ask(question)
        worker.seconds = LONG
        good = await worker.ask(question)
        await worker.stop()
        again = await worker.ask(question)
        await worker.stop()
        return [slow, good, again]

    slow, good, again = (
        ThreadPoolExecutor().submit(asyncio.run, ask()).result()
    )  # a browser's tests have a loop
    assert "takes longer than 0 seconds" in json.loads(slow.said)["failed"]
    assert json.loads(good.said)["mistakes"] == []
    assert again == good


# The server


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """The path of a spec that no test changes."""
    path: Path = tmp_path_factory.mktemp("kept") / "mine.yaml"
    path.write_text(SPEC, encoding="utf-8", newline="\n")
    return path


@pytest.fixture(scope="module")
def unchanged(kept) -> Iterator[Served]:
    """The server of `kept`, for requests that leave nothing behind."""
    with serving(kept.parent) as served:
        yield served(kept)
    assert kept.read_text(encoding="utf-8") == SPEC


def messages(state: Any) -> list[str]:
    return [each["message"] for each in state["said"]["mistakes"]]


def test_one_line_is_printed_and_ctrl_c_ends_it_quietly_with_browsers_open(serve, path):
    server = serve(path)
    with server.events() as events:
        events.next()
        assert server.stop() == 130
    assert re.fullmatch(rf"serving {path} at {server.url} \(Ctrl-C ends it\)\n", server.printed())


def test_a_browser_is_told_the_file_and_each_change_of_it(serve, path):
    server = serve(path)
    with server.events() as events:
        first = events.next()
        assert (first["file"]["name"], first["file"]["text"]) == (str(path), SPEC)
        assert (messages(first), first["stale"]) == ([], False)
        path.write_text(WRONG, encoding="utf-8")
        second = events.until(lambda state: state["file"]["text"] == WRONG)
        assert messages(second) == ["there is no kind of step called `global_avg_pol`"]
        # The last good picture stays: it is not sent again.
        assert (second["stale"], second["key"], second["page"]) == (True, first["key"], None)
        with server.events() as others:
            other = others.next()
            assert (other["stale"], other["key"]) == (True, first["key"])
            assert other["page"] == first["page"]
        path.write_text(SPEC.replace("width: 8", "width: 9"), encoding="utf-8")
        third = events.until(lambda state: not state["stale"])
        assert third["page"] != first["page"]


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[tuple[Served, Path]]:
    """A server, and the path of its spec, which tests change one after another."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "work").mkdir()
    path = folder / "work" / "mine.yaml"
    path.write_text(SPEC, encoding="utf-8")
    with serving(folder) as served:
        yield served(path), path


@pytest.mark.parametrize("how", ["renamed", "deleted", "emptied", "a folder", "not text"])
def test_whatever_happens_to_the_file_its_return_is_seen(watched, how):
    server, path = watched
    path.write_text(SPEC, encoding="utf-8")
    changed = SPEC.replace("width: 8", "width: 9")
    with server.events() as events:
        events.until(lambda state: state["file"]["text"] == SPEC)
        if how == "renamed":
            new = path.with_suffix(".new")
            new.write_text(changed, encoding="utf-8")
            new.replace(path)
        elif how == "deleted":
            path.unlink()
            state = events.until(lambda state: state["file"]["version"] == MISSING)
            assert messages(state) == ["there is no such file"]
            path.write_text(changed, encoding="utf-8")
        elif how == "emptied":
            path.write_text("", encoding="utf-8")
            assert messages(events.until(lambda state: state["stale"])) == ["the spec is empty"]
            path.write_text(changed, encoding="utf-8")
        elif how == "a folder":
            path.unlink()
            path.mkdir()
            sentence = ["this is a directory"]
            assert events.until(lambda state: messages(state) == sentence)["stale"]
            path.rmdir()
            path.write_text(changed, encoding="utf-8")
        else:
            path.write_bytes(b"\xff")
            sentence = ["this is not UTF-8 text"]
            assert events.until(lambda state: messages(state) == sentence)["stale"]
            path.write_text(changed, encoding="utf-8")
        state = events.until(lambda state: state["file"]["text"] == changed)
        assert (messages(state), state["stale"]) == ([], False)


def test_a_folder_that_is_made_again_is_watched_again(serve, path):
    server = serve(path)
    with server.events() as events:
        events.next()
        path.parent.rename(path.parent.with_name("elsewhere"))
        events.until(lambda state: state["file"]["version"] == MISSING)
        path.parent.mkdir()
        path.write_text(SPEC + "# again\n", encoding="utf-8")
        events.until(lambda state: state["file"]["text"] == SPEC + "# again\n")


def test_of_many_saves_a_browser_that_does_not_read_is_told_the_last(serve, path):
    """Nothing is queued, so another browser sees the last state at once."""
    server = serve(path)
    with server.events() as asleep, server.events() as awake:
        asleep.next()
        large = f"{SPEC}# {'x' * 300_000}\n"  # more than a connection holds that nobody reads
        for number in range(100):
            path.write_text(f"{large}# {number}\n", encoding="utf-8")
            time.sleep(0.02)
        awake.until(lambda state: state["file"]["text"] == f"{large}# 99\n")
        asleep.until(lambda state: state["file"]["text"] == f"{large}# 99\n")


def test_variables_change_the_picture_of_one_browser(serve, path):
    server = serve(path)
    with server.events() as plain, server.events(variables={"width": "32"}) as changed:
        ours, theirs = plain.next(), changed.next()
        assert ours["key"] != theirs["key"]
        wide = SPEC.replace("width: 8", "width: 32")
        path.write_text(wide, encoding="utf-8")
        # An empty file may be seen between: a write empties it first.
        ours = plain.until(lambda state: state["file"]["text"] == wide)
        assert ours["said"]["variables"][1]["value"] == "32"
        # Now both are the same network.
        assert changed.until(lambda state: state["file"]["text"] == wide)["key"] == theirs["key"]


def test_a_variant_named_with_the_spec_is_shown_first(serve, path):
    with serve(f"{path}:wide").events() as events:
        assert events.next()["said"]["variant"] == "wide"


HOSTILE = {
    "yaml": "name: [\n",
    "nothing": "",
    "a list": "- a\n",
    "kinds": WRONG,
    "two mistakes": WRONG.replace("classes: 10", "classes: ten"),
    "markup": SPEC.replace("stem", "<script>alert(1)</script>"),
    "deep": "[" * 1_000,
    "repeats": SPEC + "  - {repeat: 10000, layers: [{repeat: 10000, layers: [softmax]}]}\n",
    "bell": "name: \a\n",
    "budget": SPEC + "budget: {params: 1}\n",
}


@pytest.mark.parametrize("spec", HOSTILE.values(), ids=HOSTILE)
def test_the_sentences_are_those_of_build(path, spec):
    path.write_text(spec, encoding="utf-8")
    proven = run("check", f"{path}:mine") if "budget" in spec else run("build", path)
    printed = proven.stderr
    said, _ = look(spec)
    for mistake in said["mistakes"]:
        assert f"error[{mistake['code']}] {mistake['message']}" in printed
        assert mistake["help"] is None or mistake["help"] in printed
    assert len(said["mistakes"]) == len(re.findall(r"^\S.*: error\[", printed, re.MULTILINE)) > 0


def test_a_text_is_looked_at_without_being_written(unchanged, kept):
    answered = unchanged.post("look", {"text": WRONG, "view": {}}).json()
    assert messages(answered) == ["there is no kind of step called `global_avg_pol`"]
    assert answered["page"] is None
    assert unchanged.post("look", {"text": SPEC, "view": {"variant": "wide"}}).json()["page"]
    assert kept.read_text(encoding="utf-8") == SPEC


def test_a_save_is_written_and_told_to_all(serve, path):
    server = serve(path)
    with server.events() as events:
        version = events.next()["file"]["version"]
        saved = server.post("save", {"text": SPEC + "# ours\n", "version": version})
        assert saved.status_code == 200
        told = events.until(lambda state: state["file"]["text"] == SPEC + "# ours\n")
        assert told["file"]["version"] == saved.json()["version"]
    assert path.read_text(encoding="utf-8") == SPEC + "# ours\n"


def test_a_save_over_another_change_is_refused_with_that_change(serve, path):
    server = serve(path)
    with server.events() as events:
        version = events.next()["file"]["version"]
    path.write_text(SPEC + "# theirs\n", encoding="utf-8")
    refused = server.post("save", {"text": SPEC + "# ours\n", "version": version})
    assert (refused.status_code, refused.json()["text"]) == (409, SPEC + "# theirs\n")
    again = server.post("save", {"text": "name: ours\n", "version": refused.json()["version"]})
    assert again.status_code == 200


@pytest.mark.parametrize("spec", ["mine", "vgg16"])
def test_a_page_that_is_read_only_cannot_save(serve, path, spec):
    server = serve(path, "--read-only") if spec == "mine" else serve(spec)
    with server.events() as events:
        file = events.next()["file"]
    assert file["read_only"]
    refused = server.post("save", {"text": "name: a\n", "version": file["version"]})
    assert (refused.status_code, refused.json()["problem"][-9:]) == (403, "read-only")


@pytest.mark.parametrize(
    ("end", "data"),
    [
        ("look", []),
        ("look", {}),
        ("look", {"text": 1}),
        ("look", {"text": "", "view": []}),
        ("look", {"text": "", "view": {"variables": {"a": 1}}}),
        ("look", {"text": "", "view": {"variant": 1}}),
        ("help", {"text": "", "ask": "look", "at": 0}),
        ("help", {"text": "", "ask": "hover", "at": "0"}),
        ("save", {"text": ""}),
        ("save", {"text": None, "version": MISSING}),
    ],
)
def test_what_no_page_asks_is_refused(unchanged, end, data):
    assert unchanged.post(end, data).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000, b'{"text": 1e999}'])
def test_what_is_no_json_is_refused(unchanged, body):
    headers = {"origin": unchanged.origin, "content-type": "application/json"}
    assert unchanged.client.post("look", content=body, headers=headers).status_code == 400


@pytest.mark.parametrize("view", ["", "x", "[]", '{"variant": 1}', "[" * 9_000])
def test_a_view_that_no_page_asks_for_is_refused(unchanged, view):
    assert unchanged.client.get("events", params={"view": view}).status_code == 400


def test_half_of_a_surrogate_pair_is_a_mistake_like_others(unchanged):
    answered = unchanged.post("look", {"text": "name: \ud800\n", "view": {}}).json()
    assert messages(answered) == ["the character U+D800 is not allowed in a spec"]


def test_only_its_own_page_on_this_machine_is_answered(unchanged, kept):
    host = urlsplit(unchanged.url).netloc
    port = host.partition(":")[2]
    ours = {"origin": unchanged.origin}
    save = {"text": "name: stolen\n", "version": SpecFile(str(kept)).read().version}

    def status(method: str, url: str, headers: dict[str, str]) -> int:
        data = save if method == "POST" else None
        answered = httpx.request(method, url, headers=headers, json=data, timeout=LONG)
        assert "access-control-allow-origin" not in answered.headers
        assert "frame-ancestors" in answered.headers["content-security-policy"]
        return answered.status_code

    page, end = unchanged.url, f"{unchanged.url}save"
    for name in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
        assert status("GET", page, {"host": name}) == 200
    # Another name that leads here, the port of another server, none at all.
    for name in (f"evil.example:{port}", "127.0.0.1:1", "127.0.0.1", f"127.0.0.1.evil:{port}", ""):
        assert status("GET", page, {"host": name}) == 421
        assert status("POST", end, ours | {"host": name}) == 421
    # Another site, another server of this machine, a page without an origin, no page.
    for origin in ("http://evil.example", "http://127.0.0.1:1", f"https://{host}", "null"):
        assert status("POST", end, {"origin": origin}) == 403
        assert status("GET", page, {"origin": origin}) == 403
    assert status("POST", end, {}) == 403
    # Somebody who does not know the address.
    for guess in ("", "/", "/save", "/0123456789abcdef0123456789abcdef/", unchanged.url[-34:-2]):
        assert status("GET", f"{unchanged.origin}{guess}", {}) == 403
        assert status("POST", f"{unchanged.origin}{guess}", ours) == 403
    assert status("POST", end, ours | {"content-type": "text/plain"}) == 400
    assert kept.read_text(encoding="utf-8") == SPEC


@pytest.mark.parametrize(
    "end",
    [
        "mine.yaml",
        "specs/mine.yaml",
        "%2e%2e/specs/mine.yaml",
        "static/live.js",
        "live.js/",
        "..%2f",
    ],
)
def test_nothing_else_is_served(unchanged, end):
    assert unchanged.client.get(end).status_code == 404
    assert unchanged.client.get("live.js").status_code == 200


def test_a_request_is_bounded(unchanged):
    assert unchanged.post("look", {"text": "#" * 5 * 2**20}).status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(80):
            yield b" " * 2**16

    headers = {"origin": unchanged.origin, "content-type": "application/json"}
    try:
        status = unchanged.client.post("look", content=pieces(), headers=headers).status_code
    except httpx.TransportError:  # refused before all of it was sent
        status = 400
    assert status == 400
    assert unchanged.post("look", {"text": SPEC, "view": {}}).status_code == 200


def test_the_address_is_the_same_after_a_restart_and_another_for_another_file(serve, path):
    other = path.with_name("other.yaml")
    other.write_text(SPEC, encoding="utf-8")
    port = free_port()
    first = serve(path, "--port", port)
    assert first.stop() == 130
    assert serve(path, "--port", port).url == first.url
    assert urlsplit(serve(other).url).path != urlsplit(first.url).path


def test_the_key_of_the_addresses_is_its_users_alone(serve, path, tmp_path):
    serve(path)
    key = tmp_path / "cache" / "archspec" / "serve.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_port_in_use_is_said(path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", path, "--port", port, "--no-open")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: `--port {port}` cannot be had: another program has it")


@pytest.mark.parametrize("name", ["none.yaml", "folder.yaml", "nonsense"])
def test_a_spec_that_is_not_there_is_said_as_by_build(tmp_path, name):
    (tmp_path / "folder.yaml").mkdir()
    built, served = (run(each, name, cwd=tmp_path) for each in ("build", "serve"))
    assert served.returncode == built.returncode > 0
    assert served.stderr == built.stderr


def test_without_its_packages_the_command_says_how_to_install_them(path):
    code = f"""
import sys
sys.modules["uvicorn"] = None
from archspec.cli import main
main(["serve", {str(path)!r}])
"""
    done = run(code=code)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'keras-archspec[serve]'" in done.stderr
    assert "Traceback" not in done.stderr
