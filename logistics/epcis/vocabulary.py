"""CBV 2.0's words and the web addresses that they stand for in JSON-LD.

Source: GS1's epcis-context.jsonld 2.0.0. The context is known here and never fetched.
"""

from collections.abc import Mapping
from typing import Final

CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
CONTEXTS: Final = frozenset(
    {
        CONTEXT,
        "https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
        "https://gs1.github.io/EPCIS/epcis-context.jsonld",
    }
)
CBV: Final = "https://ref.gs1.org/cbv/"
VOC: Final = "https://gs1.org/voc/"
EVENT_TYPES: Final = (
    "ObjectEvent",
    "AggregationEvent",
    "TransactionEvent",
    "TransformationEvent",
    "AssociationEvent",
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BIZ_STEPS: Final = _words(
    "accepting arriving assembling collecting commissioning consigning creating_class_instance "
    "cycle_counting decommissioning departing destroying disassembling dispensing encoding "
    "entering_exiting holding inspecting installing killing loading other packing picking "
    "receiving removing repackaging repairing replacing reserving retail_selling sampling "
    "sensor_reporting shipping staging_outbound stock_taking stocking storing transporting "
    "unloading unpacking void_shipping"
)
DISPOSITIONS: Final = _words(
    "active available completeness_verified completeness_inferred conformant container_closed "
    "container_open damaged destroyed dispensed disposed encoded expired in_progress in_transit "
    "inactive mismatch_instance mismatch_class mismatch_quantity needs_replacement "
    "no_pedigree_match non_conformant non_sellable_other partially_dispensed recalled reserved "
    "retail_sold returned sellable_accessible sellable_not_accessible stolen unavailable unknown"
)
BUSINESS_TRANSACTIONS: Final = _words(
    "bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt"
)
SOURCES: Final = frozenset(("owning_party", "possessing_party", "location"))
ERROR_REASONS: Final = frozenset(("did_not_occur", "incorrect_data"))
EXCEPTIONS: Final = frozenset(("ALARM_CONDITION", "ERROR_CONDITION"))
COMPONENTS: Final = _words(
    "x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting "
    "northing latitude longitude altitude"
)
MEASUREMENTS: Final = _words(
    "AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Radioactivity Altitude "
    "AmountOfSubstance AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum "
    "AngularVelocity Area Capacitance Conductance Conductivity Count Density Dimensionless "
    "DoseEquivalent DoseEquivalentRate DynamicViscosity ElectricCharge ElectricCurrent "
    "ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency Illuminance "
    "Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux "
    "LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass "
    "MassConcentration MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy "
    "MolarMass MolarVolume Power Pressure RadiantFlux RadiantIntensity RelativeHumidity "
    "Resistance Resistivity SolidAngle SpecificVolume Speed SurfaceDensity SurfaceTension "
    "Temperature Time Torque Voltage Volume VolumeFlowRate VolumeFraction VolumetricFlux "
    "Wavenumber"
)

# (the element that holds a word, the word's own name) -> (words, what stands before the word)
WORDS: Final[Mapping[tuple[str, str], tuple[frozenset[str], str]]] = {
    ("", "bizStep"): (BIZ_STEPS, CBV + "BizStep-"),
    ("", "disposition"): (DISPOSITIONS, CBV + "Disp-"),
    ("persistentDisposition", "set"): (DISPOSITIONS, CBV + "Disp-"),
    ("persistentDisposition", "unset"): (DISPOSITIONS, CBV + "Disp-"),
    ("bizTransactionList", "type"): (BUSINESS_TRANSACTIONS, CBV + "BTT-"),
    ("sourceList", "type"): (SOURCES, CBV + "SDT-"),
    ("destinationList", "type"): (SOURCES, CBV + "SDT-"),
    ("errorDeclaration", "reason"): (ERROR_REASONS, CBV + "ER-"),
    ("sensorReport", "type"): (MEASUREMENTS, VOC),
    ("sensorReport", "exception"): (EXCEPTIONS, VOC),
    ("sensorReport", "component"): (COMPONENTS, CBV + "Comp-"),
}
# As EPCIS 1.2 wrote them.
_URNS: Final = (
    ("urn:epcglobal:cbv:bizstep:", CBV + "BizStep-"),
    ("urn:epcglobal:cbv:disp:", CBV + "Disp-"),
    ("urn:epcglobal:cbv:btt:", CBV + "BTT-"),
    ("urn:epcglobal:cbv:sdt:", CBV + "SDT-"),
    ("urn:epcglobal:cbv:er:", CBV + "ER-"),
)
_CURIES: Final = (("cbv:", CBV), ("gs1:", VOC))


def web_word(place: tuple[str, str], value: str) -> str:
    """The web address of a word at a place (`WORDS`); what is none comes back as it is."""
    words, start = WORDS.get(place, (frozenset[str](), ""))
    if value in words:
        return start + value
    if start:
        for prefix, address in _CURIES:
            if value.startswith(prefix):
                return address + value.removeprefix(prefix)
    return from_urn(value)


def from_urn(value: str) -> str:
    """A CBV URN of EPCIS 1.2 as a web address; other texts come back as they are."""
    if "urn:epcglobal:cbv:" in value:
        for urn, address in _URNS:
            value = value.replace(urn, address)
    return value


def bare_word(value: str) -> str:
    """The word itself, for people: "receiving" of "https://ref.gs1.org/cbv/BizStep-receiving"."""
    value = from_urn(value)
    for start in (CBV, VOC, "cbv:", "gs1:"):
        if value.startswith(start):
            tail = value.removeprefix(start)
            return tail.partition("-")[2] or tail
    return value
