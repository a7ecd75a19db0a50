"""Reading YAML and JSON: what text means, where things stand, and what is refused."""

import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from archspec.errors import Diagnostic, Span, SpecError
from archspec.spec import quick, reader
from archspec.spec.source import parse, read


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request, monkeypatch):
    """Every fact holds with libyaml and without it."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    for module in (quick, reader):
        monkeypatch.setattr(module, "LOADER", getattr(yaml, request.param))


def problems(text: str | bytes, name: str = "<spec>") -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as caught:
        parse(text, name)
    return caught.value.diagnostics


def problem(text: str | bytes) -> Diagnostic:
    (only,) = problems(text)
    return only


def at(line: int, column: int, end_line: int, end_column: int) -> Span:
    return Span(line, column, end_line, end_column)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("NULL", None),
        ("nULL", "nULL"),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("False", False),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("0", 0),
        ("-19", -19),
        ("+12", 12),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0o8", "0o8"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("190:20:30", "190:20:30"),
        ("2001-12-14", "2001-12-14"),
        ("1e-3", 1e-3),
        ("1.5e-4", 1.5e-4),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.0", 0.0),
        ("+1E+2", 100.0),
        (".", "."),
        ("-x", "-x"),
        ("1.2.3", "1.2.3"),
        ("1e", "1e"),
        ("=filters * 2", "=filters * 2"),
        ('"1"', "1"),
        ("'true'", "true"),
        ("''", ""),
        (r'"\u00e9\t"', "é\t"),
        ("|\n  x\n  y\n", "x\ny\n"),
        (">\n  x\n  y\n", "x y\n"),
    ],
)
def test_scalars_follow_yaml_1_2(written, value):
    found = parse(f"a: {written}").data["a"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (".inf", "value"),
        ("-.INF", "value"),
        (".nan", "value"),
        ("1e999", "value"),
        ("9" * 101, "limit"),
        ("9" * 10_000, "limit"),
        ("0x" + "f" * 10_000, "limit"),
    ],
)
def test_numbers_without_a_usable_value_are_refused(written, code):
    found = problem(f"a: {written}")
    assert (found.code, found.span) == (code, at(1, 4, 1, 4 + len(written)))


SPEC = """\
name: tiny   # a comment
vars: &v {depth: [2, 30],
  "k é": x}
layers:
  - conv: =filters

  - max_pool: {size: 2}
    name:
  # a comment

about: |
  two
  lines

again: *v
"""


@pytest.mark.parametrize(
    ("path", "key", "span"),
    [
        ((), False, at(1, 1, 15, 10)),
        (("name",), False, at(1, 7, 1, 11)),
        (("name",), True, at(1, 1, 1, 5)),
        (("vars", "depth", 1), False, at(2, 22, 2, 24)),
        (("vars", "k é"), True, at(3, 3, 3, 8)),
        (("layers",), False, at(5, 3, 8, 10)),
        (("layers",), True, at(4, 1, 4, 7)),
        (("layers", 0), False, at(5, 5, 5, 19)),
        (("layers", 0, "conv"), True, at(5, 5, 5, 9)),
        (("layers", 0, "conv"), False, at(5, 11, 5, 19)),
        (("layers", 1, "max_pool"), False, at(7, 15, 7, 24)),
        (("layers", 1, "name"), False, at(8, 10, 8, 10)),
        (("about",), False, at(11, 8, 13, 8)),
        (("again",), False, at(15, 8, 15, 10)),
        (("again", "depth", 0), False, at(2, 19, 2, 20)),
        (("again", "depth"), True, at(2, 11, 2, 16)),
        (("layers", 0, "conv", "kernel"), False, at(5, 11, 5, 19)),
        (("layers", 7, "conv"), True, at(5, 3, 8, 10)),
        (("nothing", 0), False, at(1, 1, 15, 10)),
    ],
)
def test_places_in_yaml(path, key, span):
    assert parse(SPEC).span(path, key=key) == span


def test_lines_are_the_text_without_its_breaks():
    found = parse("a: 1\r\nb: 2\rc: 3\n", name="tiny.yaml")
    assert found.lines == ("a: 1", "b: 2", "c: 3", "")
    assert found.span(("c",)) == at(3, 4, 3, 5)
    assert found.name == "tiny.yaml"


def test_an_alias_is_its_anchors_value():
    found = parse("a: &x [1, &y {k: 2}]\nb: *x\nc: *y\n")
    assert found.data == {"a": [1, {"k": 2}], "b": [1, {"k": 2}], "c": {"k": 2}}


JSON = '{\n\t"n": "\\ud83d\\ude00\\/",\t"k": "x",\n\t"l": [1.5, {"m": null}]\n}\n'


def test_json_reads_as_json_does():
    assert parse(JSON, "spec.json").data == json.loads(JSON)


@pytest.mark.parametrize(
    ("path", "key", "span"),
    [
        (("n",), True, at(2, 2, 2, 5)),
        (("k",), True, at(2, 25, 2, 28)),
        (("k",), False, at(2, 30, 2, 33)),
        (("l", 0), False, at(3, 8, 3, 11)),
        (("l", 1, "m"), False, at(3, 19, 3, 23)),
        ((), False, at(1, 1, 4, 2)),
    ],
)
def test_places_in_json(path, key, span):
    assert parse(JSON, "spec.JSON").span(path, key=key) == span


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=9),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(10**50), 10**50)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"])),
            lambda inner: st.lists(inner) | st.dictionaries(st.text("abc é", max_size=5), inner),
            max_leaves=10,
        ),
        min_size=1,
    ),
    st.booleans(),
    st.sampled_from([None, 2, "\t"]),
)
def test_any_json_document_reads_as_json_does(data, ascii_only, indent):
    text = json.dumps(data, ensure_ascii=ascii_only, indent=indent).replace("\ufeff", "")
    assert parse(text, "x.json").data == json.loads(text)


def test_two_duplicate_keys_are_two_problems_and_the_first_values_count():
    found = parse("a: 1\nb: {c: 2, c: 3}\na: 4\n")
    assert found.data == {"a": 1, "b": {"c": 2}}
    assert [(d.code, d.message, d.span) for d in found.diagnostics] == [
        ("duplicate", "`c` appears twice: first on line 2", at(2, 11, 2, 12)),
        ("duplicate", "`a` appears twice: first on line 1", at(3, 1, 3, 2)),
    ]


def test_problems_that_do_not_stop_the_reading_come_together_in_order():
    found = problems("a: !!python/object/apply:os.system [x]\n3: .nan\na: 1\n<<: {b: 1}\n")
    assert [(d.code, d.span.line) for d in found] == [
        ("syntax", 1),
        ("type", 2),
        ("value", 2),
        ("duplicate", 3),
        ("unknown-key", 4),
    ]


@pytest.mark.parametrize("key", ["no", "y", '"3"', "1.2.3", "'~'", "conv-2", "=x"])
def test_words_are_keys(key):
    assert list(parse(f"{key}: 1").data) == [key.strip("'\"")]


@pytest.mark.parametrize("key", ["3", "1e3", "true", "null", "~", "[a]", "{a: 1}", "? [a]\n"])
def test_other_keys_are_refused(key):
    assert problem(f"{key}: 1").code == "type"


# What is wrong; the code, the line and column, and a part of the message and of the help.
REFUSED = [
    ("", "missing", None, "empty", "`layers:`"),
    ("# only a comment\n", "missing", None, "empty", "`input:"),
    ("---\n...\n", "missing", None, "empty", ""),
    ("- conv: 3\n", "type", (1, 1), "this is a list", "`input:`"),
    ("hello", "type", (1, 1), "a single value", ""),
    ("a: 1\n---\nb: 1\n", "syntax", (2, 1), "second document", "`---`"),
    ("a: 1\n...\nb", "syntax", (3, 1), "the end of the spec", ""),
    ("%YAML 1.1\n---\na: 1", "syntax", (1, 1), "directives", ""),
    ("a:\n\tb: 1\n", "syntax", (2, 1), "tab", "spaces"),
    ("a:\n  b: 1\n\tc: 1\n", "syntax", (3, 1), "tab", "spaces"),
    ("a:\n  \tb: 1\n", "syntax", (2, 3), "tab", "spaces"),
    ("a: [1, 2", "syntax", (1, 4), "`[` is not closed", "`]`"),
    ("a: [1, 2\nb: 3\n", "syntax", (1, 4), "`[` is not closed", "comma"),
    ("a:\n  - {b: 1\n  - c: 2\n", "syntax", (2, 5), "`{` is not closed", "`}`"),
    ("a: {b: 1 c: 2}", "syntax", (1, 11), "comma or `}` is missing", ""),
    ("a: [b]]", "syntax", (1, 7), "closes nothing", ""),
    ("a: }", "syntax", (1, 4), "closes nothing", ""),
    ("a: [b, , c]", "syntax", (1, 8), "a value is missing", '""'),
    ('a: "x\nb: 1\n', "syntax", (1, 4), "never closed", '"'),
    ("a: 'x\n", "syntax", (1, 4), "never closed", "'"),
    ("a: 'it's'", "syntax", (1, 8), "closing quote", "quotes"),
    ("a: x: y", "syntax", (1, 5), "colon", "quotes"),
    ("a: 1\n  b: 2\n", "syntax", (2, 3), "no key is allowed here: `b`", "line it up"),
    ("a:\n  b: 1\n c: 2\n", "syntax", (3, 2), "does not line up", "indent"),
    ("a:\n  - b\n - c\n", "syntax", (3, 2), "does not line up", "indent"),
    ("a:\n  - b\n  c: 1\n", "syntax", (3, 3), "does not line up", "indent"),
    ("a: 1\nwords\n", "syntax", (2, 1), "neither `key: value`", "`:`"),
    ("a: - b", "syntax", (1, 4), "a list cannot start here", "[item, item]"),
    ("a: @x", "syntax", (1, 4), "cannot start with `@`", "quotes"),
    ("a: `x", "syntax", (1, 4), "cannot start with ```", "quotes"),
    ("a: %x", "syntax", (1, 4), "cannot start with `%`", "quotes"),
    ("a: ? x", "syntax", (1, 4), "`?`", "quotes"),
    ("a: |x", "syntax", (1, 5), "text block", "quotes"),
    ("a: & x", "syntax", (1, 5), "anchor", "quotes"),
    (r'a: "\u12"', "syntax", (1, 7), "escape", "backslash"),
    ("a: !x 1", "syntax", (1, 4), "tags", "quotes"),
    ("a: &width 1\nb: *widht", "unknown-name", (2, 4), "`&widht`", "`*width`"),
    ("a: *x", "unknown-name", (1, 4), "`&x`", "quotes"),
    ("a: &x [*x]", "circular", (1, 8), "`*x`", ""),
    ("a: \0", "file", (1, 4), "U+0000", "UTF-8"),
    ("a: \ud800", "file", (1, 4), "U+D800", "UTF-8"),
    (b"a: b\nc: \xff\n", "file", (2, 4), "not UTF-8", "UTF-8"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "file", (1, 1), "not UTF-8", "no model file"),
    ("a: 1".encode("utf-16"), "file", (1, 1), "not UTF-8", "UTF-8"),
    ("# " + "x" * 2**20, "limit", None, "1 MiB", ""),
    (b"#" * 5_000_000, "limit", None, "1 MiB", ""),
    ("[" * 100_000, "limit", (1, 65), "64 levels", ""),
    ("{a: " * 100_000, "limit", (1, 257), "64 levels", ""),
    ("- " * 100_000, "limit", (1, 129), "64 levels", ""),
    ("? " * 100_000, "limit", (1, 129), "64 levels", ""),
    ("a:\n" + "-\n" * 100_000, "limit", (100_001, 2), "100,000 values", ""),
]


@pytest.mark.parametrize(("text", "code", "place", "message", "hint"), REFUSED)
def test_what_is_refused_and_how_it_is_said(text, code, place, message, hint):
    found = problem(text)
    assert found.code == code
    assert (found.span and (found.span.line, found.span.column)) == place
    assert message in found.message
    assert hint in (found.help or "")


def test_a_bracket_names_the_line_that_shows_it_is_open():
    assert problem("a: [1,\n 2\nb: 3\n").notes == ("line 3 cannot be read as part of it",)


def test_an_alias_bomb_is_counted_without_being_expanded():
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 11)]
    found = problem("l0: &l0 x\n" + "".join(levels))
    assert (found.code, found.span.line) == ("limit", 6)


def test_aliases_count_as_the_nesting_they_stand_for():
    levels = [f"l{i}: &l{i} [[[[*l{i - 1}]]]]\n" for i in range(1, 20)]
    found = problem("l0: &l0 x\n" + "".join(levels))
    assert (found.code, found.span.line) == ("limit", 17)


def test_limits_admit_what_they_name():
    assert parse("a: " + "[" * 63 + "]" * 63).data["a"]
    assert len(parse("a:\n" + "-\n" * 99_998).data["a"]) == 99_998
    assert parse("#" * (2**20 - 5) + "\na: 1").data == {"a": 1}


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert parse(b"\xef\xbb\xbfa: 1").span(("a",), key=True) == at(1, 1, 1, 2)
    assert parse("\ufeffa: 1").data == {"a": 1}


def test_a_problem_carries_the_file_and_the_text():
    with pytest.raises(SpecError) as caught:
        parse("a: 1\nb: [\n", "nets/tiny.yaml")
    assert caught.value.lines == ("a: 1", "b: [", "")
    assert caught.value.diagnostics[0].file == "nets/tiny.yaml"


def test_a_file_is_read_as_its_text(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: [2]\r\n")
    found = read(path)
    assert (found.data, found.name) == ({"a": 1, "b": [2]}, str(path))


def unreadable(path: Path | str) -> Diagnostic:
    with pytest.raises(SpecError) as caught:
        read(path)
    (only,) = caught.value.diagnostics
    assert (only.code, only.span, only.file) == ("file", None, os.fspath(path))
    return only


def test_a_missing_file_is_answered_with_the_nearest_one(tmp_path, monkeypatch):
    (tmp_path / "lenet.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert unreadable("lennet.yaml").help == "did you mean `lenet.yaml`?"
    assert unreadable("quite-different").help is None
    assert unreadable(Path("nets", "lenet.yaml")).help == "there is no folder `nets`"


def test_what_is_no_file_is_not_opened(tmp_path):
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    assert "directory" in unreadable(tmp_path).message
    assert "not a regular file" in unreadable(pipe).message
    assert "not a regular file" in unreadable("/dev/zero").message
    assert "cannot be read" in unreadable("a\0b").message
    assert "cannot be read" in unreadable("x" * 5_000).message


def test_a_file_without_permission_is_said_so(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError

    path = tmp_path / "tiny.yaml"
    path.touch()
    monkeypatch.setattr(Path, "open", refuse)
    assert "permission" in unreadable(path).message


def test_a_file_past_the_limit_is_not_read_whole(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: " + b"x" * 5_000_000)
    with pytest.raises(SpecError, match=r"error\[limit\]"):
        read(path)


def reads_or_refuses(text: str | bytes, name: str) -> None:
    try:
        found = parse(text, name)
    except SpecError as error:
        refused = error
    else:
        # JSON can say whatever was read: so nothing but plain data was.
        assert json.loads(json.dumps(found.data, allow_nan=False)) == found.data
        return
    for diagnostic in refused.diagnostics:
        assert diagnostic.span is None or diagnostic.span.line <= len(refused.lines)


@given(st.text() | st.binary() | st.text("a:-?[]{},&*!|>'\"%@`#~<. \t\n\r\\x1e"), st.booleans())
@example('"\\U00110000": "\\ud800"', False)
@example("a: \u2028\u2029\x85b", True)
def test_any_text_gives_a_source_or_a_spec_error(text, is_json):
    reads_or_refuses(text, "x.json" if is_json else "x.yaml")


@given(st.data())
def test_any_mutation_of_a_spec_gives_a_source_or_a_spec_error(data):
    text = data.draw(st.sampled_from([SPEC, JSON]))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 8)))
    insert = data.draw(st.text("[]{}:-,'\"&*\t\n ab1=", max_size=5))
    reads_or_refuses(text[:start] + insert + text[end:], "x.json" if text is JSON else "x")
