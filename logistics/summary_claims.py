"""Whether a block's summaries say what its readings say: asked by whoever opens a run."""

from dataclasses import replace

from ledger.opening import OpenedRun
from logistics.reading import FLAG_OK, Telemetry, stats
from logistics.records import READING_KINDS, record_of


def slot_with_wrong_claim(opened: OpenedRun) -> int | None:
    """The first slot whose statistics are not those of its readings, None where all are.

    Only numbers can be wrong: a summary that claims none (`[1, count]`) says nothing false. Marks
    do not matter here, since gateways before this rule gave numbers for marked readings too.
    """
    for slot, summary in sorted(opened.summaries.items()):
        claimed = summary.stats
        if not isinstance(claimed, list) or len(claimed) <= 2:
            continue
        records = [
            record_of(entry.kind, entry.body)
            for entry in opened.part(slot)
            if entry.kind in READING_KINDS
        ]
        plain = [
            replace(record, flags=FLAG_OK) if isinstance(record, Telemetry) else record
            for record in records
        ]
        if stats(plain) != claimed:
            return slot
    return None
