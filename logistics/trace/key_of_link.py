"""From a Digital Link, compressed or not, or an EPC URN of an event, to the key that it names."""

from typing import Final

from logistics.errors import IdentifierError
from logistics.identifiers import gs1_check_digit
from logistics.trace.compressed_link import decompress_link
from logistics.trace.digital_link import DigitalLink, parse_link
from logistics.trace.item_key import ItemKey, gtin, lot, sgln, sgtin, sscc

_URN_CHARACTERS_MAX: Final = 120


def read_link(uri: str) -> DigitalLink:
    """What a link says, unpacked where it is compressed. Raises IdentifierError."""
    try:
        return parse_link(uri)
    except IdentifierError as error:
        try:
            return decompress_link(uri)
        except IdentifierError:
            raise error from None


def key_of_link(link: DigitalLink) -> ItemKey:
    """The finest key in a link's path. Raises IdentifierError for keys of other kinds."""
    name, number = link.key.identifier, link.key.value
    qualifiers = {item.identifier: item.value for item in link.path[1:]}
    if name == "00":
        return sscc(number)
    if name == "414":
        return sgln(number, qualifiers.get("254", ""))
    if name != "01":
        raise IdentifierError(f"({name}) names no goods, unit or place")
    if "21" in qualifiers:
        return sgtin(number, qualifiers["21"])
    return lot(number, qualifiers["10"]) if "10" in qualifiers else gtin(number)


def key_of_uri(uri: str) -> ItemKey:
    """The key of an EPC or EPC class as it stands in an event. Raises IdentifierError."""
    if not uri.startswith("urn:"):
        return key_of_link(read_link(uri))
    if len(uri) > _URN_CHARACTERS_MAX:
        raise IdentifierError("an EPC URN is shorter")
    _, _, rest = uri.partition("urn:epc:")
    scheme, _, name = rest.partition(":")
    if scheme in ("id", "class", "idpat"):
        kind, _, name = name.partition(":")
        parts = name.split(".", 2)
        if kind in ("sgtin", "lgtin") and len(parts) == 3:
            return _trade_item(kind, parts)
        if kind == "sscc" and len(parts) == 2:
            digits = parts[1][:1] + parts[0] + parts[1][1:]
            return sscc(_checked(digits, 17))
        if kind == "sgln" and len(parts) == 3:
            extension = "" if parts[2] == "0" else _unescaped(parts[2])
            return sgln(_checked(parts[0] + parts[1], 12), extension)
    raise IdentifierError(f"no key of goods, unit or place: {uri[:60]!r}")


def _trade_item(kind: str, parts: list[str]) -> ItemKey:
    company, reference, tail = parts
    number = _checked(reference[:1] + company + reference[1:], 13)
    if tail == "*":
        return gtin(number)
    return (sgtin if kind == "sgtin" else lot)(number, _unescaped(tail))


def _checked(digits: str, length: int) -> str:
    if len(digits) != length:
        raise IdentifierError(f"company prefix and reference have {length} digits: {digits[:24]!r}")
    return digits + gs1_check_digit(digits)


def _unescaped(text: str) -> str:
    parts = text.split("%")
    try:
        return parts[0] + "".join(chr(int(part[:2], 16)) + part[2:] for part in parts[1:])
    except ValueError:
        raise IdentifierError(f"a percent sign without its two digits: {text[:24]!r}") from None
