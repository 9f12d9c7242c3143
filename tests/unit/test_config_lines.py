"""Where in a text a table or a key stands."""

from __future__ import annotations

from fusiond.config.lines import lines

TEXT = '''# a comment with [a.header] and a = sign
top = 1
[server]   # [not.this]
listen = [
  "127.0.0.1:1",  # ] = [
  "unix",
]
queue = 1
dotted . "in parts" = { inner = 1, other = [1, 2] }

[ members . "qwen3:8b" ]
model = "a = b [c]"
text = """
[no.header]
no = "key"
quoted \\""" still ""inside""""
after = \'\'\'
literal = '' \\
\'\'\'
last = 'x # y'
"k\\u0065y" = 1

[[routes]]
use = 1
[[routes]]
use = 2
[routes.when]
tools = true
'''


def test_places() -> None:
    """Headers and keys in every spelling; nothing inside strings, comments and arrays is taken for one."""
    members = ("members", "qwen3:8b")
    assert lines(TEXT) == {
        ("top",): 2,
        ("server",): 3,
        ("server", "listen"): 4,
        ("server", "queue"): 8,
        ("server", "dotted"): 9,
        ("server", "dotted", "in parts"): 9,
        ("members",): 11,
        members: 11,
        (*members, "model"): 12,
        (*members, "text"): 13,
        (*members, "after"): 17,
        (*members, "last"): 20,
        (*members, "key"): 21,
        ("routes",): 23,
        ("routes", 0): 23,
        ("routes", 0, "use"): 24,
        ("routes", 1): 25,
        ("routes", 1, "use"): 26,
        ("routes", 1, "when"): 27,
        ("routes", 1, "when", "tools"): 28,
    }
