from consortium.app.refusal import Code
from consortium.errors import DEVICE_ROW_REFUSED


def test_the_codes_about_a_devices_row_are_those_of_the_table() -> None:
    named = (Code.BODY_WRONG, Code.DEVICE_OF_OTHER_PARTY, Code.SLOT_TAKEN, Code.DEVICE_FULL)
    assert set(named) == DEVICE_ROW_REFUSED
