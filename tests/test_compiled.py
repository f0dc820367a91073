"""Kept regular expressions are those that `re` compiles."""

import json
import re

import pytest

from calcitrace import compiled, kept, load_rules


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of its own, and nothing known yet."""
    monkeypatch.setattr(kept, "folder", lambda: tmp_path)
    monkeypatch.setattr(compiled, "_KNOWN", {})
    return tmp_path


def regexes() -> list[str]:
    """Some with names and groups, and those of the cues."""
    cues = [t.regex for group in load_rules().cues for t in group.terms if t.regex]
    return [r"(?P<size>\d+) ?(?:mm|(cm))", r"(?<=no )calc\b", "é|ß", *cues[:40]]


def test_what_was_kept_is_what_re_compiles(cache, monkeypatch):
    """Patterns read from the cache folder are equal to freshly compiled ones, names and groups included."""
    compiled.compile_all("rules", regexes())
    monkeypatch.setattr(compiled, "_KNOWN", {})
    monkeypatch.setattr(compiled, "_code_of", lambda regex: pytest.fail("compiled again"))
    compiled.compile_all("rules", regexes())
    for regex in regexes():
        found, fresh = compiled.compiled(regex), re.compile(regex, re.IGNORECASE)
        assert found == fresh
        assert (found.groups, found.groupindex, found.flags) == (fresh.groups, fresh.groupindex, fresh.flags)
    named = compiled.compiled(regexes()[0]).search("a 12 CM one")
    assert (named["size"], named.lastindex, named[2]) == ("12", 2, "CM")


def test_what_is_broken_is_compiled_again(cache):
    """A kept file that is no JSON, or lacks a regular expression, is made anew."""
    compiled.compile_all("rules", regexes()[:1])
    (file,) = cache.iterdir()
    whole = json.loads(file.read_text(encoding="utf-8"))
    for content in ("{", json.dumps({}), "[1]"):
        file.write_text(content, encoding="utf-8")
        compiled._KNOWN.clear()
        compiled.compile_all("rules", regexes()[:1])
        assert json.loads(file.read_text(encoding="utf-8")) == whole
        assert compiled.compiled(regexes()[0]).search("3 mm")
