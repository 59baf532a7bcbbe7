"""Every projection, in the order in which each item is given to them."""

from typing import Final

from portal.read import consignments, gateways, organisations, readings, sightings, traces
from portal.read.tables import Projection

PROJECTIONS: Final[tuple[Projection, ...]] = (
    organisations.PROJECTION,
    gateways.PROJECTION,
    readings.PROJECTION,
    consignments.PROJECTION,
    sightings.PROJECTION,
    traces.PROJECTION,
)
