"""What a zone or a limit cannot be is refused with its line and its mend."""

from pathlib import Path

import pytest

from gateway.config import parse_config
from gateway.errors import ConfigError

HEAD = f"""\
[gateway]
name = "box"
party = "Store"
data_dir = "data"
[key]
uri = "pkcs11:token=wharf"
[[audience]]
id = 1
name = "goods"
readers = ["{"11" * 32}", "{"22" * 32}"]
[[device]]
id = "dock"
driver = "llrp"
source = "tcp:10.0.0.20:5084"
audience = 1
"""
ZONE = '[[zone]]\nname = "door"\nplaces = ["dock/1"]\n'


@pytest.mark.parametrize(
    ("text", "field", "mend"),
    [
        (ZONE.replace("dock/1", "yard/1"), "places", "no [[device]]"),
        (ZONE.replace("dock/1", "dock/one"), "places", "neither"),
        (ZONE.replace('["dock/1"]', "[]"), "places", "list of 1 to 64"),
        (ZONE.replace('["dock/1"]', "[1]"), "places", "list of 1 to 64"),
        (ZONE + ZONE, "name", "given twice"),
        (ZONE + ZONE.replace("door", "gate"), "places", "dock/1 is another zone's"),
        (ZONE + "gone_ms = 400\n", "gone_ms", "more than dwell_ms_min"),
        (ZONE + "colour = 1\n", "colour", "unknown key in [zone]"),
        ('[[plausible]]\ndevice = "yard"\nchannel = "a"\n', "device", "no [[device]]"),
        (2 * '[[plausible]]\ndevice = "dock"\nchannel = "a"\n', "channel", "given twice"),
        (
            '[[plausible]]\ndevice = "dock"\nchannel = "a"\napart_milli = 1\n',
            "apart_milli",
            "neighbours",
        ),
        (
            '[[plausible]]\ndevice = "dock"\nchannel = "a"\nneighbours = ["dock"]\n',
            "neighbours",
            "DEVICE/CHANNEL",
        ),
    ],
)
def test_what_cannot_be_is_refused(text: str, field: str, mend: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(HEAD + text, Path("/etc/wharf/gateway.toml"))
    assert field == caught.value.field
    assert mend in caught.value.mend
    assert caught.value.line is not None


def test_nothing_configured_is_no_zone_and_the_usual_limits() -> None:
    config = parse_config(HEAD, Path("/etc/wharf/gateway.toml"))
    assert ((), {}) == (config.edge.zones, config.edge.limits)
