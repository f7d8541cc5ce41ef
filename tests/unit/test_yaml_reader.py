"""The YAML reader: scalars of YAML 1.2, places of keys, limits, and no input that escapes as another error."""

import json
import math
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nngames.scenario.problems import ScenarioError
from nngames.scenario.yaml_composer import DEPTH, NODES
from nngames.scenario.yaml_reader import FILE_BYTES, parse_document, read_document


def value(scalar: str):
    return parse_document(f"key: {scalar}\n", "f.yaml").data["key"]


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("1e-6", 1e-6),
        ("1E+3", 1000.0),
        (".5", 0.5),
        ("-1.", -1.0),
        ("010", 10),
        ("+3", 3),
        ("0o10", "0o10"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("10:30", "10:30"),
        ("2001-01-01", "2001-01-01"),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ('"1"', "1"),
        ("'true'", "true"),
        ("nan", "nan"),
        ("-.inf", -math.inf),
        ("1e999", math.inf),
        ("é", "é"),
        ("'a: b'", "a: b"),
        ("=", "="),
        ("1e", "1e"),
        ("e5", "e5"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(scalar, expected):
    found = value(scalar)
    assert found == expected
    assert type(found) is type(expected)


def test_not_a_number_is_read_as_such():
    assert math.isnan(value(".nan"))


def test_places_of_values_and_keys():
    document = parse_document("a:\n  - b: 1\n    'c d': [10, 20]\n", "f.yaml")
    assert str(document.problem(("a", 0, "c d", 1), "m")) == "f.yaml:3:17: a[0].c d[1]: m"
    assert str(document.problem(("a", 0, "c d"), "m", at_key=True)) == "f.yaml:3:5: a[0].c d: m"
    assert str(document.problem(("a", 0, "missing"), "m")) == "f.yaml:2:5: a[0].missing: m"
    assert str(document.problem((), "m")) == "f.yaml:1:1: m"


def test_a_key_is_found_with_and_without_quotes():
    document = parse_document("1: x\n'2': y\n", "f.yaml")
    assert document.problem((2,), "m").line == 2
    assert document.problem(("1",), "m").line == 1


def test_an_alias_is_a_copy_located_where_it_stands():
    document = parse_document("a: &x [1, 2]\nb: *x\n", "f.yaml")
    assert document.data == {"a": [1, 2], "b": [1, 2]}
    assert document.problem(("b",), "m").line == 2
    assert document.problem(("b", 1), "m").line == 1


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    file = tmp_path / "f.yaml"
    file.write_bytes("\ufeffa: 1\r\nb: x\r\n".encode())
    assert read_document(file).data == {"a": 1, "b": "x"}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2 * DEPTH))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "f.yaml:1:1: is empty; 'nngames new ring' writes a scenario to start from"),
        ("# only a comment\n", "f.yaml:1:1: is empty; 'nngames new ring' writes a scenario to start from"),
        ("- 1\n", "f.yaml:1:1: holds a list; expected the keys of a scenario"),
        ("just text\n", "f.yaml:1:1: holds 'just text'; expected the keys of a scenario"),
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: the key 'a' is given twice, first in line 1"),
        ("a: {1: x, '1': y}\n", "f.yaml:1:11: a: the key '1' is given twice, first in line 1"),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "f.yaml:1:4: a: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is refused: "
            "a scenario holds plain data only",
        ),
        ("a: !!str 1\n", "f.yaml:1:4: a: the tag 'tag:yaml.org,2002:str' is refused: a scenario holds plain data only"),
        ("a: ! b\n", "f.yaml:1:4: a: the tag '!' is refused: a scenario holds plain data only"),
        ("a: {<<: {b: 1}}\n", "f.yaml:1:5: a: merge keys are not part of YAML 1.2; write the keys out"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document starts here; a scenario file holds one"),
        ("a: &x [1, *x]\n", "f.yaml:1:11: a[1]: the alias *x stands inside its own anchor"),
        ("a: *x\n", "f.yaml:1:4: a: no anchor &x stands before this alias"),
        ("{[1]: 2}\n", "f.yaml:1:2: a key must be text or a whole number"),
        ("&x [1]: 2\n", "f.yaml:1:1: a key must be text or a whole number"),
        ("true: 1\n", "f.yaml:1:1: a key must be text or a whole number; got true: put it in quotes"),
        ("1.5: 1\n", "f.yaml:1:1: a key must be text or a whole number; got 1.5: put it in quotes"),
        ('a: "x\\e[31m"\n', "f.yaml:1:4: a: the text holds the control character U+001B"),
        ("a: \x07\n", "f.yaml:1:4: the character U+0007 is not allowed in YAML"),
        (f"a: {'9' * 301}\n", "f.yaml:1:4: a: a number of 301 characters; at most 300 are read"),
        ("a: " + "[" * 900, f"f.yaml:1:{3 + DEPTH}: a{'[0]' * (DEPTH - 1)}: nested deeper than {DEPTH} levels"),
        (
            BOMB,
            f"f.yaml:6:10: a5[0]: more than {NODES} values, aliases written out; "
            "put large arrays into an npz or csv file",
        ),
    ],
)
def test_what_is_refused_is_located(text, line):
    with pytest.raises(ScenarioError) as caught:
        parse_document(text, "f.yaml")
    assert str(caught.value) == line


def test_nesting_that_the_scanner_refuses_is_told_in_the_same_words():
    with pytest.raises(ScenarioError, match=rf"^f.yaml:1:\d+: (a.*: )?nested deeper than {DEPTH} levels$"):
        parse_document("a: " + "[" * 1_000_000, "f.yaml")


def test_nesting_through_aliases_is_limited():
    with pytest.raises(ScenarioError, match=f"nested deeper than {DEPTH} levels, aliases written out"):
        parse_document(CHAIN, "f.yaml")


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ("a: [1, 2\nb: 3\n", 2, 2, "flow sequence that starts in line 1"),
        ("\ta: 1\n", 1, 1, "indent with spaces, not tabs"),
        ("a: @x\n", 1, 4, "put text that starts with @ in quotes"),
        ("a: 'x\n", 2, 1, "quoted scalar"),
        ("a: b: c\n", 1, 5, "mapping values are not allowed"),
    ],
)
def test_syntax_errors_are_located(text, line, column, hint):
    with pytest.raises(ScenarioError) as caught:
        parse_document(text, "f.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (line, column)
    assert problem.message.startswith("is not YAML: ")
    assert hint in problem.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\0\0", "f.yaml:1:1: is a binary file; expected YAML text"),
        (b"a: 1\nb: \xff\n", "f.yaml:2:4: the byte 0xff is not UTF-8 text"),
        ("a: 1\n".encode("utf-16"), "f.yaml:1:1: is UTF-16 text; save it as UTF-8"),
        (
            b"x" * (FILE_BYTES + 100_000),
            "f.yaml:1:1: has 2.1 MB; at most 2 MB: put large arrays into an npz or csv file",
        ),
    ],
)
def test_unreadable_contents(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.yaml").write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        read_document("f.yaml")
    assert str(caught.value) == message


def test_a_huge_file_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open("f.yaml", "wb") as stream:
        stream.truncate(50_000_000)
    monkeypatch.setattr("builtins.open", None)
    with pytest.raises(ScenarioError, match=r"^f.yaml:1:1: has 50.0 MB; at most 2 MB"):
        read_document("f.yaml")


def test_missing_files_folders_and_pipes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for name, message in [
        ("none.yaml", "none.yaml:1:1: there is no such file"),
        (".", ".:1:1: is a folder; give a YAML file"),
        ("pipe", "pipe:1:1: is not a regular file"),
        ("a\0b", "a\\x00b:1:1: cannot be read: "),
        ("x" * 300, "File name too long"),
    ]:
        with pytest.raises(ScenarioError) as caught:
            read_document(name)
        assert message in str(caught.value)


def test_messages_are_single_lines_without_control_characters():
    with pytest.raises(ScenarioError) as caught:
        parse_document('"a\\nb\\u0301\\u202e": !x 1\n', "f\x1b.yaml")
    assert str(caught.value) == (
        "f\\x1b.yaml:1:21: a\\nb\u0301\\u202e: the tag '!x' is refused: a scenario holds plain data only"
    )


@given(st.binary(max_size=200))
@example(b"%YAML 3.0\n---\na: 1")
@example(b"!e!x a")
@example(b"a: |\n\tx")
@example(b"? a\n: ? b\n")
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_parse_or_raise_a_scenario_error(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    file.write_bytes(content)
    try:
        document = read_document(file)
    except ScenarioError as error:
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert isinstance(document.data, dict)


@given(st.text(alphabet=st.sampled_from("ab01.-+e: \n[]{},&*!|>'\"#%@?<\t~\\é"), max_size=60))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_any_text_of_yaml_signs_parses_or_raises_a_scenario_error(text):
    try:
        document = parse_document(text, "f.yaml")
    except ScenarioError:
        return
    assert isinstance(document.data, dict)


TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=8)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, PLAIN, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_json_is_read_back(data):
    assert parse_document(json.dumps(data, ensure_ascii=False), "f.yaml").data == data
