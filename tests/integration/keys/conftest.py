"""Two kinds of token behind one suite: SoftHSM's, and one in a (software) TPM 2.0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware_bridge.keys.softhsm import CONF_VARIABLE, make_token
from ledger.signing import EDDSA, ES256
from tests.fakes.faulty_module import FaultyToken, build_module, make_faulty_token
from tests.fakes.soft_tpm import SoftTpm, TpmToken, make_tpm_token, use

PIN = "1234"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the suite asks of a token, whatever module it lies behind."""

    uri: Callable[[str], str]
    module_path: str
    pin_path: Path
    algorithms: tuple[int, ...]
    hardware: bool  # what the module claims
    take_away: Callable[[], object]
    bring_back: Callable[[], object]


@pytest.fixture(scope="session")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftTpm]:
    made = SoftTpm(tmp_path_factory.mktemp("tpm"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def tpm_template(tpm: SoftTpm, tmp_path_factory: pytest.TempPathFactory) -> TpmToken:
    return make_tpm_token(tpm, tmp_path_factory.mktemp("template"), label="wharf", pin=PIN)


def softhsm_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Token:
    """A token in SoftHSM, in a folder of its own."""
    made = make_token(folder / "token", label="wharf", pin=PIN)
    monkeypatch.setenv(CONF_VARIABLE, str(made.conf_path))
    away = Path(f"{made.tokens_path}.away")
    return Token(
        uri=made.uri,
        module_path=made.module_path,
        pin_path=made.pin_path,
        algorithms=(ES256, EDDSA),
        hardware=False,
        take_away=lambda: made.tokens_path.rename(away),
        bring_back=lambda: away.rename(made.tokens_path),
    )


def tpm_token(template: TpmToken, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Token:
    """A token in the session's TPM, its store a fresh copy without keys."""
    made = template.copy(folder)
    use(made.environment, monkeypatch)
    return Token(
        uri=made.uri,
        module_path=made.module_path,
        pin_path=made.pin_path,
        algorithms=(ES256,),
        hardware=True,
        take_away=made.tpm.off,
        bring_back=made.tpm.on,
    )


@pytest.fixture(params=["softhsm", "tpm"])
def token(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Token]:
    if request.param == "softhsm":
        yield softhsm_token(tmp_path, monkeypatch)
        return
    made = tpm_token(request.getfixturevalue("tpm_template"), tmp_path, monkeypatch)
    yield made
    tpm: SoftTpm = request.getfixturevalue("tpm")
    tpm.ensure_on()


@pytest.fixture(scope="session")
def faulty_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_module(tmp_path_factory.mktemp("module"))


@pytest.fixture
def faulty(faulty_module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultyToken:
    """A token with a key, behind a module that fails on demand."""
    made = make_faulty_token(faulty_module, tmp_path)
    use(made.environment, monkeypatch)
    return made
