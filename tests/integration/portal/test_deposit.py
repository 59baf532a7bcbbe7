"""Deposits from the command line, stamped by an authority of one's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consortium.life_cli import SocketDesk
from ledger.canonical import decode, encode
from ledger.hashing import sha256
from logistics.deposit import decode_deposit
from tests.fakes.chain_process import ChainProcess
from tests.fakes.time_authority import TimeAuthority
from tests.unit.ledger.feed_builder import good_scene

SCENE = good_scene()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeAuthority]:
    made = TimeAuthority(tmp_path_factory.mktemp("tsa") / "one")
    yield made
    made.close()


def wharf(*words: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("wharf")), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def laid(tmp_path: Path, authority: TimeAuthority) -> Path:
    proof, deposit = tmp_path / "trip.wharf", tmp_path / "trip.deposit"
    proof.write_bytes(SCENE.bundle().encode())
    made = wharf("deposit", "make", proof, "--tsa", authority.url, "-o", deposit)
    assert 0 == made.returncode, made.stderr
    return deposit


def check(deposit: Path, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    trust = SCENE.trust.hex()
    return wharf("deposit", "verify", deposit, "--trust", trust, "--tsa-root", root, *words)


def test_a_stamp_holds_under_the_readers_root_and_is_stamped_again_over_the_old_one(
    laid: Path, authority: TimeAuthority, tmp_path: Path
) -> None:
    answer = check(laid, authority.root)
    assert (0, "") == (answer.returncode, answer.stderr)
    assert "PROVEN: probe" in answer.stdout
    assert "Stamped by Own stamps at" in answer.stdout
    assert "leads to a root that you trust" in answer.stdout
    younger = TimeAuthority(tmp_path / "two", "Younger stamps")
    try:
        assert 0 == wharf("deposit", "restamp", laid, "--tsa", younger.url).returncode
        under_both = tmp_path / "both.pem"
        under_both.write_text(authority.root.read_text() + younger.root.read_text())
        answer = check(laid, under_both)
        assert 0 == answer.returncode
        assert 2 == answer.stdout.count("leads to a root that you trust")
        assert "nobody vouches" not in answer.stdout
        # Under the younger root alone the older stamp is nobody's, and still not false.
        only = check(laid, younger.root)
        assert (0, 1) == (only.returncode, only.stdout.count("nobody vouches for the signer"))
    finally:
        younger.close()


def test_a_stamp_that_failed_is_reported_and_the_other_still_counts(
    tmp_path: Path, authority: TimeAuthority
) -> None:
    proof, deposit = tmp_path / "trip.wharf", tmp_path / "trip.deposit"
    proof.write_bytes(SCENE.bundle().encode())
    away = "http://127.0.0.1:9/nobody"
    made = wharf("deposit", "make", proof, "--tsa", away, "--tsa", authority.url, "-o", deposit)
    assert 1 == made.returncode
    answer = check(deposit, authority.root)
    assert 0 == answer.returncode
    assert f"{away}: no stamp was had" in answer.stdout
    assert "Stamped by Own stamps" in answer.stdout


def test_a_stamp_of_another_file_or_with_a_changed_byte_is_refuted(
    laid: Path, authority: TimeAuthority, tmp_path: Path
) -> None:
    deposit = decode_deposit(laid.read_bytes())
    (stamp,) = deposit.stamps
    token = stamp.token or b""
    other = replace(deposit, proof=SCENE.bundle(last=4).encode())
    path = tmp_path / "other.deposit"
    path.write_bytes(other.encode())
    answer = check(path, authority.root)
    assert 1 == answer.returncode
    assert "the stamp is of something else" in answer.stdout
    forged = []
    for at in (len(token) - 10, len(token) // 2, 120):
        changed = bytearray(token)
        changed[at] ^= 1
        forged.append(replace(deposit, stamps=(replace(stamp, token=bytes(changed)),)).encode())
    for number, data in enumerate(forged):
        path = tmp_path / f"{number}.deposit"
        path.write_bytes(data)
        answer = check(path, authority.root)
        assert 0 != answer.returncode, (number, answer.stdout)
        assert "leads to a root that you trust" not in answer.stdout


def test_the_plain_verifier_reads_the_proof_in_a_deposit_and_says_that_there_are_stamps(
    laid: Path,
) -> None:
    answer = wharf("verify", laid, "--trust", SCENE.trust.hex())
    assert 0 == answer.returncode
    assert "The file has 1 outside time stamps as well" in answer.stdout
    chinese = wharf("verify", laid, "--trust", SCENE.trust.hex(), "--language", "zh")
    assert "已证明" in chinese.stdout


def test_the_report_names_the_files_digest_and_is_the_same_for_the_same_moment(
    laid: Path, authority: TimeAuthority, tmp_path: Path
) -> None:
    pdf = tmp_path / "trip.pdf"
    words = ("--trust", SCENE.trust.hex(), "--tsa-root", str(authority.root))
    answer = wharf("deposit", "report", laid, *words, "-o", pdf)
    assert 0 == answer.returncode, answer.stderr
    text = subprocess.run(
        ["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True
    ).stdout
    told = text.replace("\n", "").replace(" ", "")
    assert sha256(laid.read_bytes()).hex() in told
    assert "PROVEN:probe" in told
    assert "已证明" in told
    assert "Whatthisdoesnotprove" in told


def test_the_chain_knows_who_laid_it_down_and_who_looked(laid: Path, tmp_path: Path) -> None:
    chain = ChainProcess(tmp_path / "chain").found().start()
    try:
        page = tmp_path / "verify.html"
        assert 0 == wharf("portal", "verifier", "-o", page).returncode
        home = ("--home", chain.home)
        unknown = wharf("deposit", "access", laid, "shown", *home)
        assert 64 == unknown.returncode
        assert "nothing with this digest was deposited" in unknown.stderr
        for words in (
            ("register", laid),
            ("access", laid, "exported"),
            ("access", laid, "verified"),
            ("register", page, "--as", "verifier"),
        ):
            answer = wharf("deposit", *words, *home)
            assert 0 == answer.returncode, answer.stderr
        rows = SocketDesk(chain.home).rows("deposit")
        digests = {sha256(path.read_bytes()): what for path, what in ((laid, 1), (page, 2))}
        assert digests == {key[1]: value[1] for key, value in rows}
        ((_, counted),) = SocketDesk(chain.home).rows("accesses")
        assert 2 == counted[0]
    finally:
        chain.stop()


def test_what_is_no_proof_is_an_error_that_names_the_mend(tmp_path: Path) -> None:
    missing = wharf("deposit", "make", tmp_path / "no.wharf", "-o", tmp_path / "x")
    assert (64, 1) == (missing.returncode, missing.stderr.count("\n"))
    bad = tmp_path / "bad.deposit"
    value = ["wharf-deposit", 1, b"proof", [["", 1, None, None]]]
    bad.write_bytes(encode(value))
    assert decode(bad.read_bytes()) == value
    answer = wharf("deposit", "verify", bad)
    assert 64 == answer.returncode
    assert "authority" in answer.stderr
