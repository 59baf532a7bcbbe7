"""A key's whole life, on running programs: enrolled, certified, followed by another, retired."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consortium.enrolment import decode_enrolment
from firmware_bridge.codecs.probe import encode_w1_slave
from tests.fakes.yard import Device, GatewayBox, Yard, run_wharf, wharf_result

PROBE = "probe-1"
PARTY = "Cold Store Ltd"


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    made = Yard(tmp_path_factory.mktemp("yard"))
    yield made
    made.close()


def with_probe(yard: Yard, name: str) -> GatewayBox:
    probe = yard.folder / "w1_slave"
    probe.write_text(encode_w1_slave(64), encoding="ascii")
    return yard.add_gateway(name, [Device(PROBE, "ds18b20", f"w1:{probe}", 1)], name=name)


def now() -> str:
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC).isoformat(
        timespec="milliseconds"
    )


def anchored(box: GatewayBox, blocks: int = 1) -> None:
    """So many more blocks are on the chain."""
    begin = box.status()["sealed_height"]
    box.until(lambda r: r["anchored_height"] >= begin + blocks, "more anchors")


def proven(yard: Yard, start: str, end: str, output: Path) -> str:
    """What `wharf verify` says of a proof that has to hold."""
    run_wharf(
        "prove", "--sensor", PROBE, "--from", start, "--to", end,
        "--home", str(yard.machine.home), "-o", str(output), "--wait", "30",
    )  # fmt: skip  # a command line
    return run_wharf("verify", str(output), "--trust", yard.machine.genesis)


def gateway(box: GatewayBox, word: str, *more: str) -> str:
    return run_wharf(
        "gateway", word, "--config", str(box.config), *more, environment=box.environment
    )


def check_certified(yard: Yard, box: GatewayBox) -> None:
    """The organisation's certificate is for the key in the token, and no other request passes."""
    request, made = box.folder / "gateway.csr", box.folder / "gateway.pem"
    code = gateway(box, "enrol", "--request", str(request)).strip()
    party_key = yard.machine.keys / f"{PARTY}.pem"
    command = [
        "chain", "certify", str(request), "--party", PARTY, "--party-key", str(party_key),
        "--out", str(made), "--home", str(yard.machine.home), "--code",
    ]  # fmt: skip  # a command line
    run_wharf(*command, code)
    certificate = x509.load_pem_x509_certificate(made.read_bytes())
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert decode_enrolment(code).spki == spki
    assert box.feed_id.hex() in str(certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value)  # fmt: skip
    spoiled = bytearray(request.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    request.write_bytes(bytes(spoiled))
    assert wharf_result(*command, code).returncode == 1


def test_a_key_is_certified_followed_by_another_and_retired_and_everything_stays_provable(
    yard: Yard, tmp_path: Path
) -> None:
    box = with_probe(yard, "first")
    anchored(box)
    begin = now()
    running = wharf_result("gateway", "rotate", "--config", str(box.config), "--new-key", "file:/x")
    assert (True, "stop it first" in running.stderr) == (running.returncode != 0, True)
    box.stop()
    check_certified(yard, box)

    second = box.token.uri("ledger-2")
    told = gateway(box, "rotate", "--new-key", second)
    assert f'uri = "{second}"' in box.config.read_text()
    assert "follows" in told
    gateway(box, "rotate", "--new-key", second)  # broken off and run again: nothing more happens
    box.start()
    anchored(box)
    middle = now()
    verdict = proven(yard, begin, middle, tmp_path / "across.wharf")
    assert "each signed the other" in verdict
    assert "held in software" in verdict

    # The old key signs nothing that counts any more, and the gateway does not start with it.
    box.stop()
    text = box.config.read_text()
    box.config.write_text(text.replace(second, box.token.uri("ledger")))
    box.start()
    box.until(lambda r: any("not this feed's" in f for f in r["faults"]), "the refusal")
    box.kill()
    box.config.write_text(text)

    told = gateway(box, "retire")
    # Heads of both keys derive as well from the store alone.
    checked = subprocess.run(
        [sys.executable, "-m", "ledger", "fsck", str(box.data_dir / "store")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip  # a command line
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"wharf chain retire {box.feed_id.hex()}" in told
    run_wharf("chain", "retire", box.feed_id.hex(), "--home", str(yard.machine.home))
    taken_over = with_probe(yard, "second")
    anchored(taken_over)
    verdict = proven(yard, begin, now(), tmp_path / "moved.wharf")
    for words in ("The gateway was retired at", "the channel was retired", "each signed the other"):
        assert words in verdict
    # What is asked of the new place alone needs nothing of the old one.
    later = now()
    assert "retired" not in proven(yard, later, now(), tmp_path / "later.wharf")
