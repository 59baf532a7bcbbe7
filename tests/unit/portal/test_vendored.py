"""What is shipped of others is listed, whole and unchanged, with its licence beside it."""

import base64
import hashlib
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LIST = ROOT / "portal" / "static" / "vendor" / "VENDORED.toml"
FILES = tomllib.loads(LIST.read_text(encoding="utf-8"))["file"]


def test_every_vendored_file_has_the_digest_that_it_is_listed_with() -> None:
    for item in FILES:
        digest = hashlib.sha384((ROOT / item["path"]).read_bytes()).digest()
        assert item["integrity"] == "sha384-" + base64.b64encode(digest).decode(), item["path"]


def test_nothing_is_vendored_that_is_not_listed() -> None:
    listed = {item["path"] for item in FILES}
    for folder in (LIST.parent, ROOT / "tests" / "vendor"):
        there = {path.relative_to(ROOT).as_posix() for path in folder.iterdir()}
        others = {path for path in there - listed if not path.endswith((".LICENSE", ".toml"))}
        assert others == set()


def test_each_has_its_licence_beside_it() -> None:
    for item in FILES:
        name = "axe" if item["package"] == "axe-core" else item["package"]
        assert ((ROOT / item["path"]).parent / f"{name}.LICENSE").exists()
