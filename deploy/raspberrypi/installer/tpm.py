"""What a key in a TPM needs: Debian's packages, and a lockout that lost power does not reach.

A TPM counts wrong PINs, and a loss of power while a key is in use as well; some leave the factory
with three tries and hours until the next (TPM 2.0 Library, part 1, section 19.8).
"""

import re
from typing import Final

from deploy.raspberrypi.installer.machine import Machine
from deploy.raspberrypi.installer.steps import Step

DEVICE: Final = "/dev/tpmrm0"
PACKAGES: Final = (  # package, what proves it
    ("libtpm2-pkcs11-1", "/usr/share/doc/libtpm2-pkcs11-1"),
    ("libtpm2-pkcs11-tools", "/usr/bin/tpm2_ptool"),
    ("tpm2-tools", "/usr/bin/tpm2_dictionarylockout"),
)
_WANTED: Final = {  # property, option, value: tries, then seconds
    "TPM2_PT_MAX_AUTH_FAIL": ("--max-tries", 32),
    "TPM2_PT_LOCKOUT_INTERVAL": ("--recovery-time", 600),
    "TPM2_PT_LOCKOUT_RECOVERY": ("--lockout-recovery-time", 86_400),
}


def lockout_step(tcti: str = f"device:{DEVICE}") -> Step:
    """32 tries, one forgiven every ten minutes. Nothing is done where there is no TPM (yet), and
    nothing where its owner gave the lockout a password: that person decides.
    """

    def is_done(machine: Machine) -> bool:
        if not machine.exists(DEVICE):
            return True
        said = machine.run("tpm2_getcap", "-T", tcti, "properties-variable")
        if re.search(r"lockoutAuthSet:\s*1", said):
            return True
        held = dict(re.findall(r"(TPM2_PT_\w+):\s*(0x[0-9A-Fa-f]+)", said))
        return all(int(held.get(name, "0"), 16) == value for name, (_, value) in _WANTED.items())

    def act(machine: Machine) -> None:
        options = [f"{option}={value}" for option, value in _WANTED.values()]
        machine.run("tpm2_dictionarylockout", "-T", tcti, "--setup-parameters", *options)

    words = "TPM: 32 tries, one forgiven every ten minutes"
    return Step(words=words, is_done=is_done, act=act)
