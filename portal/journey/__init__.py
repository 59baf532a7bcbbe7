"""What was measured on the way: chart, map, table and exports of sensors and consignments."""
