"""Included files lie under the file that names them, key by key, and every error names the file that it is in."""

from __future__ import annotations

import os
import socket
from decimal import Decimal
from pathlib import Path

import pytest

from fusiond.config import ConfigErrors, Reading, load

MAIN = """
include = ["tuned.toml", "more/absent.toml"]
[providers.ollama]
api = "ollama"
[members.qwen]
provider = "ollama"
model = "qwen3:8b"
"""


def write(directory: Path, **files: str) -> Path:
    """Each file by its name without the ending; returns the main one."""
    for name, text in files.items():
        (directory / f"{name}.toml").write_text(text)
    return directory / "config.toml"


def errors(path: Path) -> ConfigErrors:
    """What is wrong with the file at *path*."""
    with pytest.raises(ConfigErrors) as wrong:
        load(path)
    return wrong.value


def test_absent_files_are_looked_for(tmp_path: Path) -> None:
    """An included file that is not there is no error, and is among the files to watch."""
    config = load(write(tmp_path, config=MAIN))
    assert config.path == str(tmp_path / "config.toml")
    assert config.files == (str(tmp_path / "config.toml"), str(tmp_path / "tuned.toml"), str(tmp_path / "more" / "absent.toml"))


def test_key_by_key(tmp_path: Path) -> None:
    """The main file overrides single keys; what it does not say, the included one does; arrays are not mixed."""
    tuned = """
    [server]
    queue = 1
    max_requests = 2
    listen = ["127.0.0.1:1", "127.0.0.1:2"]
    [members.qwen]
    model = "other"
    skill = 0.5
    options = { temperature = 0.1, top_p = 0.2 }
    """
    main = MAIN + "options = { temperature = 0.9 }\n[server]\nqueue = 7\nlisten = ['unix']\n"
    config = load(write(tmp_path, config=main, tuned=tuned))
    assert (config.server.queue, config.server.max_requests, config.server.listen) == (7, 2, ("unix",))
    assert (config.members["qwen"].model, config.members["qwen"].skill) == ("qwen3:8b", 0.5)
    assert config.members["qwen"].options == {"temperature": 0.9, "top_p": 0.2}


def test_arrays_of_tables_are_one_value(tmp_path: Path) -> None:
    """Routes of the main file replace all of the included one's, and those stand where it has none."""
    tuned = "[[routes]]\nuse = 'qwen'\nwhen = { tools = true }\n[[routes]]\nuse = 'fusion'\n[budget]\nper_day_usd = 1\nper_month_usd = 2"
    path = write(tmp_path, config=MAIN, tuned=tuned)
    assert [route.use for route in load(path).routes] == ["qwen", "fusion"]
    config = load(write(tmp_path, config=MAIN + "[[routes]]\nuse = 'fusion/default'\n[budget]\nper_day_usd = 3\n"))
    assert [(route.use, route.when.tools) for route in config.routes] == [("fusion/default", None)]
    assert config.budget
    assert (config.budget.per_day_usd, config.budget.per_month_usd) == (Decimal(3), Decimal(2))


def test_later_over_earlier(tmp_path: Path) -> None:
    """Of two included files the later lies over the earlier."""
    path = write(tmp_path, config='include = ["a.toml", "b.toml"]', a="server.queue = 1\nserver.max_requests = 1", b="server.queue = 2")
    assert (load(path).server.queue, load(path).server.max_requests) == (2, 1)


def test_a_table_and_something_else(tmp_path: Path) -> None:
    """Where one file has a table and the other has not, the main file's word stands."""
    path = write(tmp_path, config='include = ["a.toml"]\n[server]\nqueue = 2', a="server = 1")
    assert load(path).server.queue == 2


def test_errors_name_their_file(tmp_path: Path) -> None:
    """Mistakes of all files at once, each in its own file, the main file's first; an overridden one is the main file's."""
    tuned = "[members.qwen]\nskill = 2\nmodle = 'x'\nsize = 8\n[server]\nqueue = -1\n"
    wrong = errors(write(tmp_path, config=MAIN + "size = 0\nfamly = 'q'\n", tuned=tuned))
    assert str(wrong).splitlines() == [
        "config.toml: members.qwen.size: must be more than 0 [line 8]",
        "config.toml: members.qwen.famly: unknown key (did you mean 'family'?) [line 9]",
        "tuned.toml: members.qwen.skill: must be between 0 and 1, and neither of them [line 2]",
        "tuned.toml: members.qwen.modle: unknown key (did you mean 'model'?) [line 3]",
        "tuned.toml: server.queue: must be at least 0 [line 6]",
    ]
    assert [error.file for error in wrong.errors][::4] == [str(tmp_path / "config.toml"), str(tmp_path / "tuned.toml")]
    assert str(tmp_path / "more" / "absent.toml") in wrong.files


def test_several_files_that_are_no_toml(tmp_path: Path) -> None:
    """Every included file that cannot be read is named; the corrections of all are waited for."""
    wrong = errors(write(tmp_path, config='include = ["a.toml", "b.toml"]', a="x =", b="[y"))
    assert {error.file for error in wrong.errors} == {str(tmp_path / "a.toml"), str(tmp_path / "b.toml")}
    assert wrong.files == tuple(str(tmp_path / f"{name}.toml") for name in ("config", "a", "b"))


def test_what_is_no_toml_hides_nothing(tmp_path: Path) -> None:
    """The main file's own mistakes are named beside it; what may stand in the file that cannot be read is not missed."""
    main = """
    include = ["a.toml", "b.toml"]
    [server]
    queu = 1
    [members.qwen]
    provider = "lab"
    [fusions.default]
    panel = ["qwen", "other"]
    """
    wrong = errors(write(tmp_path, config=main, a="x =", b="[server]\nqueue = 'x'\n"))
    assert str(wrong).splitlines() == [
        "config.toml: server.queu: unknown key (did you mean 'queue'?) [line 4]",
        "a.toml: is not valid TOML: Invalid value [line 1]",
        "b.toml: server.queue: must be a whole number, not a string [line 2]",
    ]


@pytest.mark.parametrize("text", ["", "# nothing but words\n\n"])
def test_a_file_that_said_something_and_says_nothing_is_refused(tmp_path: Path, text: str) -> None:
    """The main one, and an included one; what never said anything is all defaults."""
    path = write(tmp_path, config=text, tuned="")
    reading = Reading()
    assert reading.load(path).members == {}
    reading.load(write(tmp_path, config=MAIN))
    reading.load(write(tmp_path, tuned="[server]\nqueue = 1\n"))
    for name, before in (("tuned", "[server]\nqueue = 2\n"), ("config", MAIN)):
        with pytest.raises(ConfigErrors, match=rf"^{name}\.toml: is empty: what it said before stays in force$") as wrong:
            reading.load(write(tmp_path, **{name: text}))
        assert str(tmp_path / f"{name}.toml") in wrong.value.files
        reading.load(write(tmp_path, **{name: before}))
    (tmp_path / "tuned.toml").unlink()
    assert reading.load(path).server.queue == 256


def test_no_includes_in_includes(tmp_path: Path) -> None:
    """One level is enough to be read by people."""
    path = write(tmp_path, config='include = ["a.toml"]', a='[server]\nqueue = 1\n[x]\n"include" = 1\n')
    assert str(errors(path)) == "a.toml: x: unknown key [line 3]"
    path = write(tmp_path, config='include = ["a.toml"]', a='# here\ninclude = ["b.toml"]')
    assert str(errors(path)) == "a.toml: include: an included file cannot include others: name them in the main file [line 2]"


@pytest.mark.parametrize("value", ["1", "'a.toml'", "[1]", "['']", '["a\\u0000b"]', "{ a = 1 }"])
def test_include_names_files(tmp_path: Path, value: str) -> None:
    """Only an array of file names."""
    path = write(tmp_path, config=f"include = {value}")
    assert str(errors(path)) == "config.toml: include: must be an array of file names [line 1]"


def test_included_directory(tmp_path: Path) -> None:
    """What is there and cannot be read is an error, unlike what is not there."""
    (tmp_path / "a.toml").mkdir()
    assert str(errors(write(tmp_path, config='include = ["a.toml"]'))) == "a.toml: cannot be read: Is a directory"


PIPE = "is a pipe, a socket or a device: a configuration must be a regular file"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe that nobody writes to, or a device without an end, would be read for ever."""
    os.mkfifo(tmp_path / "a.toml")
    (tmp_path / "b.toml").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as place:
        place.bind(str(tmp_path / "c.toml"))
    names = ["a.toml", "b.toml", "c.toml"]
    assert str(errors(write(tmp_path, config=f"include = {names}"))).splitlines() == [f"{name}: {PIPE}" for name in names]
    assert [str(errors(tmp_path / name)) for name in names] == [f"{name}: {PIPE}" for name in names]
