"""GS1-128: an SSCC as bars. Source: ISO/IEC 15417; GS1 General Specifications, section 5.4."""

from typing import Final

from logistics.trace.item_key import ItemKey, KeyKind

START_C: Final = 105
FNC1: Final = 102
STOP: Final = "2331112"
# Widths of three bars and three spaces for each of the values 0 to 105.
_PATTERNS: Final = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 "
    "122132 122231 113222 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 "
    "321221 312212 322112 322211 212123 212321 232121 111323 131123 131321 112313 132113 132311 "
    "211313 231113 231311 112133 112331 132131 113123 113321 133121 313121 211331 231131 213113 "
    "213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 111422 "
    "121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 "
    "241112 134111 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 "
    "412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141 411131 211412 "
    "211214 211232"
)
_OF_VALUE: Final = tuple(_PATTERNS.split(" "))


def sscc_bars(key: ItemKey) -> tuple[bool, ...]:
    """Modules of (00) and the SSCC, True where a bar is; without quiet zones."""
    assert key.kind is KeyKind.SSCC
    digits = "00" + key.number
    values = [START_C, FNC1, *(int(digits[at : at + 2]) for at in range(0, len(digits), 2))]
    check = (values[0] + sum(place * value for place, value in enumerate(values[1:], 1))) % 103
    widths = "".join(_OF_VALUE[value] for value in (*values, check)) + STOP
    return tuple(place % 2 == 0 for place, width in enumerate(widths) for _ in range(int(width)))
