"""The installer's steps on a machine in a folder: again, broken off, forth, back and away."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from deploy.raspberrypi.installer import __main__ as command
from deploy.raspberrypi.installer import plan, release
from deploy.raspberrypi.installer.boot_config import OVERLAYS, with_overlays
from deploy.raspberrypi.installer.machine import FileWish, InstallError, Machine
from deploy.raspberrypi.installer.plan import Choices
from deploy.raspberrypi.installer.release import ReleaseWish
from deploy.raspberrypi.installer.steps import PENDING, file_step, link_step, run_steps, show_steps
from tests.fakes.bare_machine import BareMachine, KilledError, tree

CONFIG_TXT = "# the maker's own\n[pi4]\narm_boost=1\n"


def silent(_: str) -> None:
    """Say nothing."""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return a Raspberry Pi's tree with a broker's configuration of the owner's own."""
    root = tmp_path / "root"
    (root / "boot" / "firmware").mkdir(parents=True)
    (root / "boot" / "firmware" / "config.txt").write_text(CONFIG_TXT)
    (root / "etc" / "mosquitto" / "conf.d").mkdir(parents=True)
    (root / "etc" / "mosquitto" / "conf.d" / "wharf.conf").write_text("# mine\n")
    return root


def choices(folder: Path, version: str = "0.1.0") -> Choices:
    wheel = folder / f"wharfinger-{version}-py3-none-any.whl"
    wheel.write_text(version)
    lock = folder / "gateway.lock"
    lock.write_text("cbor2==6.3.0\n")
    wish = ReleaseWish(wheel=wheel, lock=lock)
    return Choices(release=wish, project=folder, overlays=("rtc-ds3231",))


def install(machine: Machine, wished: Choices) -> int:
    return run_steps(machine, plan.install_steps(machine, wished), silent)


def effects_of_an_install(folder: Path, root: Path) -> int:
    machine = BareMachine(root)
    install(machine, choices(folder))
    return machine.effects


def test_run_twice_it_changes_nothing_not_even_a_time(here: Path, tmp_path: Path) -> None:
    assert install(BareMachine(here), choices(tmp_path)) > 10
    before = tree(here, with_times=True)
    again = BareMachine(here)
    assert install(again, choices(tmp_path)) == 0
    assert before == tree(here, with_times=True)


def test_a_dry_run_changes_nothing_and_names_every_step(here: Path, tmp_path: Path) -> None:
    before = tree(here, with_times=True)
    machine, said = BareMachine(here), list[str]()
    steps = plan.install_steps(machine, choices(tmp_path))
    assert show_steps(machine, steps, said.append) > 10
    assert before == tree(here, with_times=True)
    assert [step for step in steps if not any(step.words in line for line in said)] == []
    assert "  would    run systemctl daemon-reload" in said


def test_killed_before_any_effect_it_is_finished_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Killed is not powered off: what was written stays, so the disk need not be waited for.
    monkeypatch.setattr("os.fsync", lambda _: None)
    model = tmp_path / "model"
    (model / "boot").mkdir(parents=True)
    (model / "boot" / "config.txt").write_text(CONFIG_TXT)
    whole = BareMachine(model, booted=True)
    install(whole, choices(tmp_path))
    expected = tree(model)
    assert whole.effects > 40
    for moment in range(whole.effects):
        root = tmp_path / f"killed-{moment}"
        (root / "boot").mkdir(parents=True)
        (root / "boot" / "config.txt").write_text(CONFIG_TXT)
        dying = BareMachine(root, dies_at=moment, booted=True)
        with pytest.raises(KilledError):
            install(dying, choices(tmp_path))
        second = BareMachine(root, booted=True)
        install(second, choices(tmp_path))
        assert expected == tree(root), moment
        # Nothing that the running system has to be told is lost with the killed run.
        assert set(whole.told) <= set(dying.told) | set(second.told), moment
        assert not second.exists(PENDING)


def test_killed_before_a_file_gets_its_name_it_is_finished_too(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: Path, target: Path) -> Path:
        raise KilledError

    for kind in (FileWish("/etc/some", b"bytes"), "link"):
        step = file_step(kind) if isinstance(kind, FileWish) else link_step("/etc/other", "some")
        with monkeypatch.context() as dying:
            dying.setattr(Path, "replace", die)
            with pytest.raises(KilledError):
                step.act(BareMachine(here))
        assert not step.is_done(BareMachine(here))
        step.act(BareMachine(here))
        assert step.is_done(BareMachine(here))
    assert list(here.rglob("*.wharf-new")) == []


def test_units_are_read_anew_before_anything_is_restarted(here: Path, tmp_path: Path) -> None:
    machine = BareMachine(here, booted=True)
    install(machine, choices(tmp_path))
    restarts = [machine.told.index(told) for told in machine.told if "restart" in told]
    assert machine.told.index(plan.RELOAD) < min(restarts)
    assert len(machine.told) == len(set(machine.told))


def ledger_of(machine: Machine) -> Path:
    file = machine.at("/var/lib/wharf/store/data.mdb")
    file.parent.mkdir()
    file.write_bytes(b"what nobody may lose")
    return file


def test_upgrade_and_roll_back_keep_the_ledger(here: Path, tmp_path: Path) -> None:
    machine = BareMachine(here)
    install(machine, choices(tmp_path))
    ledger = ledger_of(machine)
    install(machine, choices(tmp_path, "0.2.0"))
    assert machine.link_target(release.CURRENT) == "0.2.0"
    run_steps(machine, plan.rollback_steps(machine), silent)
    assert machine.link_target(release.CURRENT) == "0.1.0"
    assert machine.link_target(release.PREVIOUS) == "0.2.0"
    assert ledger.read_bytes() == b"what nobody may lose"


def test_the_version_before_stays_and_older_ones_go(here: Path, tmp_path: Path) -> None:
    machine = BareMachine(here)
    for version in ("0.1.0", "0.2.0", "0.3.0"):
        install(machine, choices(tmp_path, version))
    assert release.versions(machine) == ["0.2.0", "0.3.0"]


def test_a_roll_back_killed_between_its_links_can_be_run_again(here: Path, tmp_path: Path) -> None:
    machine = BareMachine(here)
    for version in ("0.1.0", "0.2.0"):
        install(machine, choices(tmp_path, version))
    machine.link(release.PREVIOUS, "0.2.0")  # the first of the two links was made
    run_steps(machine, plan.rollback_steps(machine), silent)
    assert machine.link_target(release.CURRENT) == "0.1.0"


def test_without_another_version_there_is_no_roll_back(here: Path, tmp_path: Path) -> None:
    machine = BareMachine(here)
    install(machine, choices(tmp_path))
    with pytest.raises(InstallError, match="no other version"):
        plan.rollback_steps(machine)


def test_a_version_that_does_not_start_is_taken_back(here: Path, tmp_path: Path) -> None:
    machine = BareMachine(here, booted=True)
    install(machine, choices(tmp_path))
    machine.refused = plan.RESTART_GATEWAY
    steps = plan.install_steps(machine, choices(tmp_path, "0.2.0"))
    with pytest.raises(InstallError, match=r"runs 0\.1\.0 again"), redirect_stdout(io.StringIO()):
        command._act(machine, steps)
    assert machine.link_target(release.CURRENT) == "0.1.0"
    assert machine.told[-1] == plan.RESTART_GATEWAY


def test_the_same_version_from_another_wheel_is_made_anew(here: Path, tmp_path: Path) -> None:
    machine, wished = BareMachine(here), choices(tmp_path)
    install(machine, wished)
    wished.release.wheel.write_text("mended")
    assert install(machine, wished) == 1
    assert release.is_complete(machine, wished.release)
    assert release.leftovers(machine) == []


def test_what_the_owner_had_written_is_kept_beside(here: Path, tmp_path: Path) -> None:
    install(BareMachine(here), choices(tmp_path))
    kept = here / "etc" / "mosquitto" / "conf.d" / "wharf.conf.before-wharf"
    assert kept.read_text() == "# mine\n"


def test_our_own_file_of_an_older_version_is_not_kept(here: Path, tmp_path: Path) -> None:
    unit = FileWish(plan.UNIT, b"[Unit]\n")
    run_steps(BareMachine(here), [file_step(unit)], silent)
    install(BareMachine(here), choices(tmp_path))
    assert not (here / f"{plan.UNIT}.before-wharf".lstrip("/")).exists()


def test_uninstalling_keeps_ledger_keys_and_accounts(here: Path, tmp_path: Path) -> None:
    machine = BareMachine(here)
    install(machine, choices(tmp_path))
    ledger = ledger_of(machine)
    run_steps(machine, plan.uninstall_steps(machine, purge=False), silent)
    assert ledger.exists()
    assert machine.exists("/etc/wharf/broker-password")
    assert machine.exists("/etc/mosquitto/wharf.passwd")
    assert machine.at("/boot/firmware/config.txt").read_text() == CONFIG_TXT
    files = [path for path in here.rglob("*wharf*") if path.is_file() or path.is_symlink()]
    assert {path.name for path in files} == {"wharf.passwd", "wharf.conf.before-wharf"}


def test_purging_leaves_nothing_of_ours(here: Path, tmp_path: Path) -> None:
    machine = BareMachine(here)
    install(machine, choices(tmp_path))
    ledger_of(machine)
    run_steps(machine, plan.uninstall_steps(machine, purge=True), silent)
    kept = here / "etc" / "mosquitto" / "conf.d" / "wharf.conf.before-wharf"
    assert list(here.rglob("*wharf*")) == [kept]  # the owner's, not ours
    assert machine.user_id("wharf") is None


@pytest.mark.parametrize("name", sorted(OVERLAYS))
def test_an_overlay_is_added_once_and_leaves_the_rest_alone(name: str) -> None:
    text = with_overlays(CONFIG_TXT, [name])
    assert text.startswith(CONFIG_TXT)
    assert "[all]" in text  # the maker's file ends within a section for one model
    assert text == with_overlays(text, [name])
    assert with_overlays(text, []) == CONFIG_TXT


def test_config_txt_is_untouched_unless_overlays_are_named(here: Path, tmp_path: Path) -> None:
    wished = choices(tmp_path)
    install(BareMachine(here), Choices(release=wished.release, project=tmp_path))
    assert (here / "boot" / "firmware" / "config.txt").read_text() == CONFIG_TXT


def test_secrets_are_for_their_owner_alone(here: Path, tmp_path: Path) -> None:
    machine = BareMachine(here)
    install(machine, choices(tmp_path))
    modes = {
        path: machine.at(path).stat().st_mode & 0o777
        for path in ("/etc/wharf", "/var/lib/wharf", "/etc/wharf/broker-password")
    }
    assert list(modes.values()) == [0o750, 0o700, 0o400]
    assert machine.at("/etc/mosquitto/wharf.passwd").stat().st_mode & 0o007 == 0


def test_where_nobody_can_be_asked_nothing_is_done(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    before = tree(here, with_times=True)
    wheel = choices(tmp_path).release.wheel
    with redirect_stdout(io.StringIO()) as said:
        assert command.main(["--root", str(here), "--wheel", str(wheel)]) == command.EXIT_USAGE
    assert "say --yes" in said.getvalue()
    assert before == tree(here, with_times=True)


def test_a_machine_that_dpkg_looks_after_is_left_to_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = here / "var" / "lib" / "dpkg" / "info" / "wharfinger.list"
    listed.parent.mkdir(parents=True)
    listed.touch()
    assert command.main(["--root", str(here), "--yes"]) == command.EXIT_FAILED
    assert "upgrade it with apt" in capsys.readouterr().err
