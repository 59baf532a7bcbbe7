from dataclasses import replace
from pathlib import Path

import pytest

from gateway.demo import lies
from gateway.demo.lies import drop_hour, edit_reading, forge_head, tell_lies
from ledger.proof_bundle import Bundle
from ledger.verdict import Code, Outcome
from ledger.verify import verify_bundle
from tests.unit.ledger.feed_builder import Scene, good_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return good_scene()


@pytest.mark.parametrize("lie", [edit_reading, drop_hour, forge_head])
def test_each_lie_changes_a_good_bundle_and_is_refused_in_words(
    scene: Scene, lie: lies.Lie
) -> None:
    good = scene.bundle()
    told = verify_bundle(good.encode(), trusted_genesis_sha256=scene.trust)
    assert Outcome.PROVEN == told.outcome
    verdict = verify_bundle(lie(good).encode(), trusted_genesis_sha256=scene.trust)
    assert Outcome.REFUTED == verdict.outcome
    assert verdict.values(Code.REFUTED)[0]["reason"]


def test_the_liar_says_what_became_of_each_lie(scene: Scene, tmp_path: Path) -> None:
    path, said = tmp_path / "good.wharf", list[str]()
    path.write_bytes(scene.bundle().encode())
    assert 0 == tell_lies(path, scene.trust, said.append)
    assert ["a reading edited", "an hour dropped", "a head forged"] == [
        line.split(": ")[1] for line in said
    ]
    assert all(line.split(": ")[2] == "refused" and line.split(": ")[3] for line in said)


def test_a_lie_that_is_believed_is_shouted_about(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harmless(bundle: Bundle) -> Bundle:
        return replace(bundle)

    monkeypatch.setattr(lies, "_LIES", {"nothing at all": harmless})
    path, said = tmp_path / "good.wharf", list[str]()
    path.write_bytes(scene.bundle().encode())
    assert 1 == tell_lies(path, scene.trust, said.append)
    assert "lie: nothing at all: NOT FOUND OUT: nothing" == said[0]
