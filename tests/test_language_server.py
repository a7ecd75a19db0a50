"""The language server, spoken to by a real client over standard input and output."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner

pytest.importorskip("pygls")

from lsprotocol import types
from support.editor import COMMAND, URI, Editor, applied, editing, session

from archspec.cli import main
from archspec.compile.expand import expand
from archspec.errors import SpecError
from archspec.spec.document import choose, validate
from archspec.spec.source import parse

__all__ = ["session"]

pytestmark = pytest.mark.client

SPEC = """\
name: net
input: [32, 32, 3]
vars: {width: 16}
variants:
  small: {}
  large: {width: 64}
layers:
  - {conv: {filters: =width, kernel: 3, padding: same}, name: stem}
  - max_pool: 2
  - global_avg_pool
  - fc: {units: 10, activation: softmax}
"""


def is_valid(text: str) -> bool:
    source = parse(text)
    try:
        expand(choose(validate(source), source, None, {}))
    except SpecError:
        return False
    return True


def test_a_step_is_typed_letter_by_letter_and_the_hints_stay(session):
    line = "  - conv: {filters: 32, kernel: 3, activation: relu}\n"
    before, after = SPEC.split("  - max_pool")

    async def play(editor: Editor) -> None:
        editor.open(SPEC)
        assert await editor.mistakes() == []
        whole = await editor.hints()
        assert whole[7] == "32x32x16 · 448 params · 442K MACs"
        assert sorted(whole) == [7, 8, 9, 10]
        wrong = 0
        for end in range(1, len(line) + 1):
            editor.write(
                f"{before}{line[:end]}{'' if end == len(line) else chr(10)}  - max_pool{after}"
            )
            hints = await editor.hints()
            # Those of the steps around it are there in every state, each behind its step.
            assert {7, 9, 10, 11} <= set(hints), line[:end]
            assert hints[7] == whole[7]
            wrong += bool(await editor.mistakes())
        assert wrong > 10
        assert await editor.mistakes() == []
        assert (await editor.hints())[8] == "30x30x32 · 4.64K params · 4.15M MACs"

    session(play)


def test_mistakes_come_with_the_words_of_build_and_a_fix_makes_the_spec_right(session):
    async def play(editor: Editor) -> None:
        editor.open(SPEC.replace("max_pool", "max_pol").replace("kernel", "kernl"))
        found = await editor.mistakes()
        assert [(each.code, each.message, each.source) for each in found] == [
            ("unknown-key", "`conv` has no argument `kernl`\nhelp: did you mean `kernel`?",
             "archspec"),
            ("unknown-kind", "there is no kind of step called `max_pol`\n"
             "help: did you mean `max_pool`?", "archspec"),
        ]  # fmt: skip
        for each in found:
            (fix,) = await editor.fixes(each)
            assert fix.kind == types.CodeActionKind.QuickFix
            editor.write(applied(editor.text, fix.edit))
        assert await editor.mistakes() == []
        assert editor.text == SPEC
        assert is_valid(editor.text)

    session(play)


def test_places_are_counted_in_utf_16(session):
    text = SPEC.replace("- max_pool", '- {name: "😀😀", max_pol').replace("pol: 2", "pol: 2}")

    async def play(editor: Editor) -> None:
        assert editor.capabilities.position_encoding == types.PositionEncodingKind.Utf16
        editor.open(text)
        name, kind = await editor.mistakes()
        line = text.split("\n")[8]
        start = line.index("max_pol") + 2  # each of the two faces is one character and two units
        assert kind.range == types.Range(types.Position(8, start), types.Position(8, start + 7))
        assert name.range.start.character == line.index('"')
        (fix,) = await editor.fixes(kind)
        assert "max_pool: 2}" in applied(text, fix.edit)
        said = await editor.complete(8, start + 3)
        assert said["max_pool"].text_edit.range == kind.range

    session(play)


def test_a_client_may_count_characters_instead():
    async def play(editor: Editor) -> None:
        assert editor.capabilities.position_encoding == types.PositionEncodingKind.Utf32
        editor.open(SPEC.replace("- max_pool: 2", '- {name: "😀", max_pol: 2}'))
        _, kind = await editor.mistakes()
        assert kind.range.start.character == len('  - {name: "😀", ')

    async def session_beside_a_loop() -> None:  # such as Playwright's, which runs beside tests
        with editing(["utf-32", "utf-16"]) as played:
            played(play)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, session_beside_a_loop()).result()


def test_other_files_are_left_alone(session):
    others = {
        "file:///specs/compose.yaml": "services:\n  web: {image: nginx}\n  bad: [\n",
        "file:///specs/action.yaml": "name: CI\ninputs: {a: 1}\njobs:\n\tx: 1\n",
        "file:///specs/package.json": '{"name": "x", "layers": []}',
        "file:///specs/empty.yaml": "",
    }

    async def play(editor: Editor) -> None:
        for uri, text in others.items():
            editor.open(text, uri)
        editor.open(SPEC)
        assert await editor.mistakes() == []
        assert set(editor.published) == {URI}
        for uri in others:
            assert await editor.hints(uri) == {}

    session(play)


def test_a_mistake_of_one_variant_says_so_and_a_lens_shows_another_variants_figures(session):
    text = SPEC.replace("{width: 64}", "{width: 0}")

    async def play(editor: Editor) -> None:
        editor.open(text)
        await editor.until(lambda: bool(editor.published.get(URI)))
        (found,) = editor.published[URI]
        assert found.message.endswith("\nnote: in large")
        editor.write(SPEC)
        await editor.until(lambda: editor.published[URI] == [])
        lenses = await editor.lenses()
        while len(lenses) < 3:  # the other variants follow after a pause
            editor.news.clear()
            await editor.news.wait()
            lenses = await editor.lenses()
        titles = [lens.command.title for lens in lenses]
        assert titles[1].endswith("shown")
        assert titles[2].endswith("click to show its figures")
        command = lenses[2].command
        params = types.ExecuteCommandParams(command.command, arguments=command.arguments)
        await editor.client.workspace_execute_command_async(params)
        assert (await editor.hints())[7] == "32x32x64 · 1.79K params · 1.77M MACs"

    session(play)


HOSTILE = {
    "not yaml": "input: [1]\nlayers:\n  - {a: [\n",
    "a tab": "input: [8, 8, 3]\nlayers:\n\t- conv: 3\n",
    "deep": "input: [8, 8, 3]\nlayers: " + "[" * 500,
    "an alias of itself": "name: x\ninput: [8, 8, 3]\nlayers: &a [*a]\n",
    "a bomb": "name: x\ninput: [8, 8, 3]\nvars: {a: &a [1, 2, 3]}\nlayers:\n"
    "  - {repeat: 10000, layers: [{repeat: 10000, layers: [softmax]}]}\n",
    "a script": "name: x\ninput: [8, 8, 3]\nlayers:\n"
    '  - {conv: 3, name: "<script>alert(1)</script>"}\n',
    "a surrogate": 'name: x\ninput: [8, 8, 3]\nlayers: ["\\ud800"]\n',
    "a separator": "name: x\ninput: [8, 8, 3] # \u2028\nlayers: [convv: 3]\n",
    "nothing": "input:\nlayers:\n",
    "other things": "input: {a: 1}\nlayers: 3\nvariants: [1]\npublished: 3\n",
}


def test_hostile_specs_get_the_sentences_of_build(session):
    def said(text: str) -> list[tuple[str, str]]:
        try:
            source = parse(text, "net.yaml")
            expand(choose(validate(source), source, None, {}))
        except SpecError as error:
            return [(each.code, each.message) for each in error.diagnostics]
        return []

    async def play(editor: Editor) -> None:
        editor.open(SPEC)
        assert await editor.mistakes() == []
        for name, text in HOSTILE.items():
            editor.write(text)
            found = await editor.mistakes()
            messages = [(each.code, each.message.partition("\n")[0]) for each in found]
            assert messages == said(text), name
            assert messages, name
            await editor.complete(2, 5)
            await editor.hover(2, 5)
        editor.write(SPEC + "  - {fc: [\n")
        assert sorted(await editor.hints()) == [7, 8, 9, 10]  # of the last good text

    session(play)


def test_a_text_of_a_mebibyte_is_answered_while_it_is_typed(session):
    step = "  - conv: {filters: 8, kernel: 3, padding: same} # " + "x" * 300 + "\n"
    text = "name: net\ninput: [8, 8, 3]\nlayers:\n" + step * (2**20 // len(step) - 1)

    async def play(editor: Editor) -> None:
        editor.open(text)
        for letters in ("n", "na", "nam", "name"):
            editor.write(text + "  - conv: 3\n    " + letters)
        found = await editor.mistakes()
        assert [each.code for each in found] == ["syntax"]
        line = text.count("\n") + 1
        assert "name" in await editor.complete(line, 8)
        assert len(editor.published) == 1
        editor.write(text + "#" * 2**20)
        (found,) = await editor.mistakes()
        assert found.code == "limit"

    session(play)


def test_requests_of_a_document_that_is_closed_meanwhile_are_answered(session):
    async def play(editor: Editor) -> None:
        step = "  - {conv: {filters: 8, kernel: 3, padding: same}}\n"
        editor.open(SPEC.replace("  - max_pool", step * 2_000 + "  - max_pool"))
        asked = [asyncio.create_task(ask) for ask in (editor.hints(), editor.lenses())]
        await asyncio.sleep(0)
        editor.close()
        await asyncio.wait_for(asyncio.gather(*asked), 60)

    session(play)


def _message(**values: object) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", **values}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


_EXIT = _message(method="exit")
_SHUTDOWN = _message(id=2, method="shutdown")


@pytest.mark.parametrize(
    ("last", "status"), [(_EXIT, 1), (_SHUTDOWN + _EXIT, 0), (None, -signal.SIGINT)]
)
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_the_server_ends_when_it_is_told_to_though_its_input_stays_open(last, status):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(COMMAND, **pipes) as server:
        server.stdin.write(_message(method="$/cancelRequest", params={"id": 7}))  # answered before
        server.stdin.write(_message(id=1, method="initialize", params={"capabilities": {}}))
        server.stdin.flush()
        assert server.stdout.readline().startswith(b"Content-Length")
        if last is None:
            server.send_signal(signal.SIGINT)
        else:
            server.stdin.write(last)
            server.stdin.flush()
        assert server.wait(60) == status
        assert server.stderr.read() == b""


def test_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygls.lsp.server", None)
    monkeypatch.delitem(sys.modules, "archspec.serve.language_server", raising=False)
    done = CliRunner().invoke(main, ["lsp"])
    assert done.exit_code == 2
    assert "`archspec lsp` needs pygls" in done.output
    assert "pip install 'keras-archspec[lsp]'" in done.output


def test_a_json_spec_is_completed_and_checked_too(session):
    uri = "file:///specs/net.json"
    text = json.dumps({"name": "x", "input": [8, 8, 3], "layers": [{"convv": 3}]})

    async def play(editor: Editor) -> None:
        editor.open(text, uri)
        (found,) = await editor.mistakes(uri)
        assert found.code == "unknown-kind"
        editor.close(uri)
        await editor.until(lambda: editor.published[uri] == [])

    session(play)
