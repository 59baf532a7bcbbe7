"""Copied codes give themselves away by people, places and time."""

from logistics.trace.copies import HOUR_MS, Scan, Sign, judge


def test_the_first_look_and_a_households_looks_are_usual() -> None:
    assert Sign.FIRST is judge([]).sign
    family = [Scan(n * HOUR_MS, f"v{n % 4}", "home") for n in range(20)]
    judgement = judge(family, sold_ms=0)
    assert (Sign.USUAL, 20, 4, 1) == (
        judgement.sign, judgement.looks, judgement.visitors, judgement.places,
    )  # fmt: skip  # one line of facts
    assert not judgement.is_suspicious


def test_many_people_are_more_than_one_packet_has() -> None:
    scans = [Scan(n * 48 * HOUR_MS, f"v{n}", "here") for n in range(12)]
    assert Sign.MANY is judge(scans).sign
    assert Sign.USUAL is judge(scans[:11]).sign


def test_three_networks_within_an_hour_are_three_packets() -> None:
    scans = [Scan(n * HOUR_MS // 3, f"v{n}", f"place-{n}") for n in range(3)]
    assert Sign.AT_ONCE is judge(scans).sign
    slow = [Scan(n * 2 * HOUR_MS, "v", f"place-{n}") for n in range(3)]
    assert Sign.USUAL is judge(slow).sign


def test_strangers_after_the_sale_are_a_sign() -> None:
    scans = [Scan(n * 5 * HOUR_MS, f"v{n}", f"p{n % 2}") for n in range(1, 8)]
    assert Sign.AFTER_SALE is judge(scans, sold_ms=0).sign
    assert Sign.USUAL is judge(scans, sold_ms=None).sign
