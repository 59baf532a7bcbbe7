import argparse
import json
from pathlib import Path

import pytest

from logistics.cli import EXIT_USAGE, register
from tests.unit.ledger.feed_builder import good_scene

SCENE = good_scene()
DIGEST = SCENE.trust.hex()
PROVEN, REFUTED, UNTRUSTED = 0, 1, 2


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "trip.wharf"
    path.write_bytes(SCENE.bundle().encode())
    return path


def verify(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    arguments = parser.parse_args(["verify", *map(str, words)])
    return int(arguments.run(arguments))


def stored(folder: Path, text: str) -> Path:
    path = folder / "trust.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("digest", [DIGEST, DIGEST.upper()])
def test_the_digest_of_the_genesis_document_is_a_trust_root(bundle: Path, digest: str) -> None:
    assert verify(bundle, "--trust", digest) == PROVEN


def test_another_digest_refutes(bundle: Path) -> None:
    assert verify(bundle, "--trust", "00" * 32) == REFUTED


def test_without_a_trust_root_nothing_is_proven(bundle: Path, tmp_path: Path) -> None:
    assert verify(bundle, "--trust-store", tmp_path / "none") == UNTRUSTED


def test_the_trust_store_gives_the_root_by_the_chains_name(bundle: Path, tmp_path: Path) -> None:
    chain = json_of(bundle)["findings"][-1]["chain_id"]
    store = stored(tmp_path, f'[chains]\n"{chain}" = "{DIGEST}"\nother = "{"00" * 32}"\n')
    assert verify(bundle, "--trust-store", store) == PROVEN


def json_of(bundle: Path) -> dict[str, list[dict[str, str]]]:
    from ledger.verify import verify_bundle

    verdict = verify_bundle(bundle.read_bytes(), trusted_genesis_sha256=None)
    rows = [{"code": str(f.code), **f.values} for f in verdict.findings]
    return {"findings": [row for row in rows if "chain_id" in row]}


@pytest.mark.parametrize("value", ["5", '"abcd"', '"zz"', "[1]", f'"{"zz" * 32}"'])
def test_a_trust_store_with_anything_but_a_digest_is_wrong_usage_and_refutes_nothing(
    bundle: Path, tmp_path: Path, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = json_of(bundle)["findings"][-1]["chain_id"]
    store = stored(tmp_path, f'[chains]\n"{chain}" = {value}\n')
    assert verify(bundle, "--trust-store", store) == EXIT_USAGE
    assert str(store) in capsys.readouterr().err


@pytest.mark.parametrize("text", ["chains = 5", "[chains", "[[chains]]"])
def test_a_trust_store_of_another_form_is_named(
    bundle: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = stored(tmp_path, text)
    assert verify(bundle, "--trust-store", store) == EXIT_USAGE
    assert str(store) in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\n", b"\xff" * 300])
def test_a_file_that_is_no_genesis_document_is_no_trust_root_and_refutes_nothing(
    bundle: Path, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tls_certificate.pem"
    path.write_bytes(content)
    assert verify(bundle, "--trust", path) == EXIT_USAGE
    assert "no genesis document" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["00", "zz" * 32, "no-such-file"])
def test_a_trust_root_that_is_neither_digest_nor_file_is_wrong_usage(
    bundle: Path, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(bundle, "--trust", named) == EXIT_USAGE
    assert "neither 64 hexadecimal digits nor a file" in capsys.readouterr().err


def test_a_folder_for_receipts_that_cannot_be_made_is_wrong_usage(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(bundle, "--trust", DIGEST, "--receipts", bundle) == EXIT_USAGE
    assert f"--receipts {bundle}" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"hello\n", bytes(4096)])
def test_a_file_that_is_no_bundle_is_refuted_and_the_answer_is_json(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.wharf"
    path.write_bytes(content)
    assert verify(path, "--trust", DIGEST, "--json") == REFUTED
    assert json.loads(capsys.readouterr().out)["outcome"] == "refuted"


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert verify(tmp_path / "none", "--trust", DIGEST) == EXIT_USAGE
    assert verify(tmp_path, "--trust", DIGEST) == EXIT_USAGE
