import argparse
import json
from pathlib import Path

import pytest

from logistics.cli import default_trust_store, register
from tests.unit.ledger.feed_builder import Scene, good_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return good_scene()


@pytest.fixture
def bundle(scene: Scene, tmp_path: Path) -> Path:
    path = tmp_path / "trip.wharf"
    path.write_bytes(scene.bundle().encode())
    return path


@pytest.fixture(autouse=True)
def _nobody_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def verify(*words: object) -> int:
    """Exit code of `wharf verify` with these words."""
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    arguments = parser.parse_args(["verify", *map(str, words)])
    return int(arguments.run(arguments))


def store_with(path: Path, scene: Scene, digest: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'[chains]\n{scene.chain.genesis.chain_id} = "{digest}"\n', encoding="utf-8")
    return path


def test_under_the_right_digest_it_is_proven_and_the_exit_code_says_so(
    scene: Scene, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == verify(bundle, "--trust", scene.trust.hex())
    assert capsys.readouterr().out.startswith("PROVEN: probe, ")


def test_the_genesis_document_itself_may_be_named(
    scene: Scene, bundle: Path, tmp_path: Path
) -> None:
    document = tmp_path / "genesis.cbor"
    document.write_bytes(scene.chain.genesis.encode())
    assert 0 == verify(bundle, "--trust", document)


def test_without_a_trust_root_it_is_never_proven(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == verify(bundle)
    out = capsys.readouterr().out
    assert out.startswith("NOT PROVEN")
    assert "nobody vouches for the issuer" in out


def test_under_another_trust_root_it_is_refuted(bundle: Path) -> None:
    assert 1 == verify(bundle, "--trust", "00" * 32)


def test_a_changed_byte_is_never_proven(scene: Scene, bundle: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    assert verify(bundle, "--trust", scene.trust.hex()) in {1, 2}


def test_the_users_trust_store_is_looked_at_by_chain_id(scene: Scene, bundle: Path) -> None:
    store_with(default_trust_store(), scene, scene.trust.hex())
    assert 0 == verify(bundle)
    store_with(default_trust_store(), scene, "00" * 32)
    assert 1 == verify(bundle)


def test_a_trust_store_may_be_named(scene: Scene, bundle: Path, tmp_path: Path) -> None:
    assert 0 == verify(
        bundle, "--trust-store", store_with(tmp_path / "mine.toml", scene, scene.trust.hex())
    )


def test_a_store_that_does_not_name_the_chain_says_nothing(bundle: Path, tmp_path: Path) -> None:
    store = tmp_path / "mine.toml"
    store.write_text(f'[chains]\nanother = "{"00" * 32}"\n')
    assert 2 == verify(bundle, "--trust-store", store)
    assert 2 == verify(bundle, "--trust-store", tmp_path / "none.toml")


@pytest.mark.parametrize(
    "text", ["[chains", "chains = 3", "[chains]\nwharf-test = 5", '[chains]\nwharf-test = "abc"']
)
def test_a_broken_trust_store_is_wrong_usage_and_no_verdict(
    bundle: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "mine.toml"
    store.write_text(text)
    assert 64 == verify(bundle, "--trust-store", store)
    assert f"wharf verify: {store}: " in capsys.readouterr().err


@pytest.mark.parametrize("word", ["humbug", "ab" * 31, "zz" * 32])
def test_a_trust_root_that_is_none_is_wrong_usage(
    bundle: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 64 == verify(bundle, "--trust", word)
    assert "neither 64 hexadecimal digits nor a file" in capsys.readouterr().err


def test_a_file_that_is_no_genesis_document_is_wrong_usage(bundle: Path) -> None:
    assert 64 == verify(bundle, "--trust", bundle)


def test_a_bundle_that_is_not_there_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 64 == verify(tmp_path / "none.wharf")
    assert "No such file" in capsys.readouterr().err


def test_a_file_that_is_no_bundle_is_never_proven(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trip.wharf"
    path.write_bytes(b"")
    store_with(default_trust_store(), scene, scene.trust.hex())
    assert verify(path) in {1, 2}
    assert "PROVEN" not in capsys.readouterr().out.removeprefix("NOT PROVEN")


def test_programs_read_outcome_and_findings_as_json(
    scene: Scene, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == verify(bundle, "--trust", scene.trust.hex(), "--json")
    told = json.loads(capsys.readouterr().out)
    codes = {finding["code"] for finding in told["findings"]}
    assert ("proven", True) == (told["outcome"], {"complete", "anchored"} <= codes)
    assert told["lines"][0].startswith("PROVEN")


def test_receipts_are_written_with_the_leaf_that_each_is_for(
    scene: Scene, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "receipts"
    assert 0 == verify(bundle, "--trust", scene.trust.hex(), "--receipts", folder)
    names = {path.name for path in folder.iterdir()}
    feed = scene.feed.state.feed_id.hex()[:8]
    assert {f"{feed}-0.receipt.cbor", f"{feed}-0.leaf"} <= names
    assert scene.feed.leaves[0] == (folder / f"{feed}-0.leaf").read_bytes()


def test_of_a_refuted_file_no_receipts_are_written(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "receipts"
    assert 1 == verify(bundle, "--trust", "00" * 32, "--receipts", folder)
    assert not folder.exists()


def test_receipts_that_cannot_be_written_are_wrong_usage(
    scene: Scene, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 64 == verify(bundle, "--trust", scene.trust.hex(), "--receipts", bundle)
    assert "--receipts" in capsys.readouterr().err
