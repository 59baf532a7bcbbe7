"""What a gateway's machine shall be like, as steps in order; and the way back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.raspberrypi.installer import broker, release, tpm
from deploy.raspberrypi.installer.boot_config import overlay_step, without_overlays_step
from deploy.raspberrypi.installer.machine import FileWish, Machine, Owner
from deploy.raspberrypi.installer.release import ReleaseWish
from deploy.raspberrypi.installer.steps import (
    Command,
    Step,
    file_step,
    folder_step,
    link_step,
    removal_steps,
)
from deploy.raspberrypi.installer.wheel import build_step

SHIPPED: Final = Path(__file__).resolve().parent.parent
CONFIG: Final = "/etc/wharf/gateway.toml"
UNIT: Final = "/etc/systemd/system/wharf-gateway.service"
UNIT_WANTED: Final = "/etc/systemd/system/multi-user.target.wants/wharf-gateway.service"
TMP_UNIT: Final = "/etc/systemd/system/tmp.mount"
TMP_WANTED: Final = "/etc/systemd/system/local-fs.target.wants/tmp.mount"
UDEV: Final = "/etc/udev/rules.d/99-wharf.rules"
JOURNAL: Final = "/etc/systemd/journald.conf.d/wharf.conf"
BROKER: Final = "/etc/mosquitto/conf.d/wharf.conf"
SYSUSERS: Final = "/etc/sysusers.d/wharf.conf"
PROGRAM: Final = "/usr/local/bin/wharf"
DATA: Final = ("/var/lib/wharf", "/etc/wharf", broker.ACCOUNTS_PATH)

RELOAD: Final[Command] = ("systemctl", "daemon-reload")
RESTART_GATEWAY: Final[Command] = ("systemctl", "restart", "wharf-gateway.service")
RESTART_JOURNAL: Final[Command] = ("systemctl", "restart", "systemd-journald.service")
RESTART_BROKER: Final[Command] = ("systemctl", "restart", "mosquitto.service")
RULES: Final[tuple[Command, ...]] = (
    ("udevadm", "control", "--reload"),
    ("udevadm", "trigger", "--subsystem-match=tty", "--subsystem-match=tpmrm"),
)
_WHARF: Final = Owner("wharf", "wharf")
_PACKAGES: Final = (  # package, what proves it
    ("python3-pip", "/usr/bin/pip3"),
    ("mosquitto", "/usr/sbin/mosquitto"),
    ("softhsm2", "/usr/bin/softhsm2-util"),
)
_TIME_SERVICES: Final = (
    "/lib/systemd/systemd-timesyncd",
    "/usr/sbin/chronyd",
    "/usr/sbin/ntpd",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the person chose."""

    release: ReleaseWish
    project: Path
    overlays: tuple[str, ...] = ()
    has_tmpfs: bool = True
    has_tpm: bool = False


def missing_packages(machine: Machine, *, has_tpm: bool = False) -> list[str]:
    """Debian packages that the gateway wants and the machine lacks."""
    wanted = _PACKAGES + (tpm.PACKAGES if has_tpm else ())
    missing = [name for name, proof in wanted if not machine.exists(proof)]
    if not any(machine.exists(proof) for proof in _TIME_SERVICES):
        missing.append("systemd-timesyncd")
    return missing


def _packages_step(machine: Machine, *, has_tpm: bool) -> Step:
    names = missing_packages(machine, has_tpm=has_tpm)

    def act(machine: Machine) -> None:
        machine.run("apt-get", "update", "-q")
        machine.run("apt-get", "install", "-y", "-q", "--no-install-recommends", *names)

    words = f"install {' '.join(names)} with apt-get" if names else "Debian packages"
    return Step(
        words=words,
        is_done=lambda machine: not missing_packages(machine, has_tpm=has_tpm),
        act=act,
    )


def _user_step() -> Step:
    def act(machine: Machine) -> None:
        machine.at("/etc").mkdir(exist_ok=True)
        machine.run("systemd-sysusers", f"--root={machine.root}", str(machine.at(SYSUSERS)))

    return Step(
        words="user wharf, in the groups dialout and tss",
        is_done=_has_user,
        act=act,
    )


def _has_user(machine: Machine) -> bool:
    path = machine.at("/etc/group")
    rows = [line.split(":") for line in path.read_text().splitlines()] if path.exists() else []
    groups = {row[0] for row in rows if "wharf" in row[3].split(",")}
    return machine.user_id("wharf") is not None and {"dialout", "tss"} <= groups


def _release_steps(wish: ReleaseWish) -> list[Step]:
    return [
        Step(
            words=f"virtual environment {release.folder_of(wish.version)}",
            is_done=lambda machine: release.is_complete(machine, wish),
            act=lambda machine: release.make(machine, wish),
            wakes=(RESTART_GATEWAY,),
        ),
        Step(
            words=f"make {wish.version} current",
            is_done=lambda machine: release.is_current(machine, wish.version),
            act=lambda machine: release.switch(machine, wish.version),
            wakes=(RESTART_GATEWAY,),
        ),
        Step(
            words="remove versions older than the one before",
            is_done=lambda machine: not release.leftovers(machine),
            act=_remove_leftovers,
        ),
    ]


def _remove_leftovers(machine: Machine) -> None:
    for path in release.leftovers(machine):
        machine.remove(path)


def _shipped(name: str, path: str, *wakes: Command) -> Step:
    return file_step(FileWish(path, (SHIPPED / name).read_bytes()), *wakes)


def _system_steps(machine: Machine, *, has_tmpfs: bool) -> list[Step]:
    steps = [
        _shipped("mosquitto.conf", BROKER, RESTART_BROKER),
        _shipped("99-wharf.rules", UDEV, *RULES),
        _shipped("journald.conf", JOURNAL, RESTART_JOURNAL),
        _shipped("wharf-gateway.service", UNIT, RELOAD, RESTART_GATEWAY),
        link_step(UNIT_WANTED, UNIT, RELOAD),
        link_step(PROGRAM, f"{release.CURRENT}/bin/wharf"),
    ]
    if has_tmpfs and not _has_tmpfs(machine):
        # From the next start on: to cover /tmp now would hide what programs have open there.
        steps += [_shipped("tmp.mount", TMP_UNIT, RELOAD), link_step(TMP_WANTED, TMP_UNIT, RELOAD)]
    return steps


def _has_tmpfs(machine: Machine) -> bool:
    """True where the system itself decided about /tmp."""
    table = machine.at("/etc/fstab")
    lines = table.read_text().splitlines() if table.exists() else []
    in_table = any(line.split()[1:2] == ["/tmp"] for line in lines)  # noqa: S108  # a mount point
    return in_table or machine.exists("/usr/lib/systemd/system/tmp.mount")


def install_steps(machine: Machine, choices: Choices) -> list[Step]:
    """A gateway, from the packages up. The same steps bring it to another version."""
    packages = [_packages_step(machine, has_tpm=choices.has_tpm)] if machine.is_here else []
    account = Step(
        words="the gateway's account at the broker",
        is_done=broker.has_account,
        act=broker.make_account,
        wakes=(RESTART_BROKER,),
    )
    return [
        *packages,
        _shipped("sysusers.conf", SYSUSERS),
        _user_step(),
        folder_step("/etc/wharf", 0o750, _WHARF),
        folder_step("/var/lib/wharf", 0o700, _WHARF),
        build_step(choices.project, choices.release.wheel),
        *_release_steps(choices.release),
        account,
        *_system_steps(machine, has_tmpfs=choices.has_tmpfs),
        *([overlay_step(machine, choices.overlays)] if choices.overlays else []),
        *([tpm.lockout_step()] if choices.has_tpm and machine.is_here else []),
    ]


def rollback_steps(machine: Machine) -> list[Step]:
    """The version before made current again; the ledger stays as it is."""
    version = release.version_before(machine)
    return [
        Step(
            words=f"make {version} current again",
            is_done=lambda machine: release.is_current(machine, version),
            act=lambda machine: release.switch(machine, version),
            wakes=(RESTART_GATEWAY,),
        )
    ]


def uninstall_steps(machine: Machine, *, purge: bool) -> list[Step]:
    """Everything that install_steps brought, but packages. Data and user go only with `purge`."""
    stop = ("systemctl", "disable", "--now", "wharf-gateway.service")
    steps = [] if not machine.is_booted or not machine.exists(UNIT) else [_stop_step(stop)]
    steps += removal_steps((UNIT_WANTED, UNIT, TMP_WANTED, TMP_UNIT), RELOAD)
    steps += removal_steps((BROKER,), RESTART_BROKER)
    steps += removal_steps((UDEV,), *RULES)
    steps += removal_steps((JOURNAL,), RESTART_JOURNAL)
    steps += removal_steps((PROGRAM, release.HOME, SYSUSERS))
    steps.append(without_overlays_step(machine))
    if purge:
        steps += [*removal_steps(DATA), _without_user_step()]
    return steps


def _stop_step(command: Command) -> Step:
    return Step(
        words="stop the gateway",
        is_done=lambda machine: not machine.exists(UNIT),
        act=lambda machine: _run(machine, command),
    )


def _run(machine: Machine, command: Command) -> None:
    machine.run(*command)


def _without_user_step() -> Step:
    return Step(
        words="remove the user wharf",
        is_done=lambda machine: machine.user_id("wharf") is None,
        act=lambda machine: _run(machine, ("userdel", "--prefix", str(machine.root), "wharf")),
    )
