"""A verdict in words, for a driver and for a judge, in English and Chinese.

For a driver: what came of it, which rule, when and how far, what it costs, what was not measured.
For a judge the same, with every condition, number and identity behind it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from logistics.rules.contract import Core, Money, Prose
from logistics.rules.facts import OPERATORS, Case, Fact, excursions_of, stays_of
from logistics.rules.verdict import Outcome, Problem, Verdict

EXCURSIONS_SHOWN: Final = 20
LANGUAGES: Final = ("en", "zh")


@dataclass(frozen=True, slots=True)
class _Words:
    """One language."""

    outcomes: Mapping[Outcome, str]
    problems: Mapping[Problem, str]
    lines: Mapping[str, str] = field(default_factory=dict)


_EN: Final = _Words(
    {
        Outcome.KEPT: "KEPT",
        Outcome.BROKEN: "BROKEN",
        Outcome.NO_EVIDENCE: "NO EVIDENCE",
    },
    {
        Problem.UNOPENED: "{where}: {time} in blocks that no other organisation has opened",
        Problem.DISPUTED: "{where}: {time} in blocks that somebody who opened them calls bad",
        Problem.CLOCK: "{where}: {time} for which the gateway's clock is not to be believed",
        Problem.GAP: "{where}: {time} for which the gateway itself reports missing input",
        Problem.UNIT: "{where}: {time} in a unit that is no temperature",
        Problem.SILENT: "{where}: {time} without a reading",
        Problem.UNCALIBRATED: "{where}: {n} readings after the calibration ran out",
        Problem.SUSPECT: "{where}: {n} readings marked suspect",
        Problem.UNTIMED: "{where}: {n} readings without a trustworthy time, left out",
        Problem.OTHER_MARKS: "{where}: {n} readings with another mark of doubt",
        Problem.SUMMARY_WRONG: "{where}: {n} blocks whose summary is not that of their readings",
        Problem.NEVER_CALIBRATED: "{where}: {n} readings of a probe without a certificate",
        Problem.GATEWAY_COUNTS: "{where}: complete from the gateway's intake, not from the sensor",
        Problem.ABSENT: "{where}: nothing of this device was shown",
    },
    {
        "head": "{outcome}: {title}",
        "interval": "From {begin} to {end} (UTC).",
        "clause": "{number} {outcome}. {prose}",
        "excursion": "    {where}: {begin} to {end}, {time}, worst {worst} °C (limit {limit} °C)",
        "stay": "    {where}: inside from {begin} to {end}, {time}",
        "more": "    and {n} more",
        "amount": "To pay: {amount} {currency}, at most {cap} {currency}.",
        "nothing": "Nothing is to be paid.",
        "problems": "What this does not rest on, or only with care:",
        "condition": "    condition: {text}",
        "fact": "    {name} = {proven}; with missing time at its worst {worst} ({operator})",
        "ids": "Contract {contract}, consignment {consignment}, verdict {digest}.",
        "source": "{where}: counted by the {seq_by}; {missing} without evidence; certificate: {c}",
        "nocert": "none",
        "parties": "Parties: {parties}.",
        "rule": "A reading holds until the next one, {gap} at most. "
        "Up to {allowed} without evidence is tolerated.",
    },
)
_ZH: Final = _Words(
    {
        Outcome.KEPT: "已履约",
        Outcome.BROKEN: "已违约",
        Outcome.NO_EVIDENCE: "无证据",
    },
    {
        Problem.UNOPENED: "{where}：有 {time} 的数据块未经其他机构打开核验",
        Problem.DISPUTED: "{where}：有 {time} 的数据块被打开核验的机构认定有误",
        Problem.CLOCK: "{where}：有 {time} 网关时钟不可信",
        Problem.GAP: "{where}：有 {time} 网关自行报告数据缺失",
        Problem.UNIT: "{where}：有 {time} 的单位不是温度单位",
        Problem.SILENT: "{where}：有 {time} 没有读数",
        Problem.UNCALIBRATED: "{where}：{n} 条读数产生于校准到期之后",
        Problem.SUSPECT: "{where}：{n} 条读数被标记为可疑",
        Problem.UNTIMED: "{where}：{n} 条读数没有可信时间，未计入",
        Problem.OTHER_MARKS: "{where}：{n} 条读数带有其他存疑标记",
        Problem.SUMMARY_WRONG: "{where}：{n} 个数据块的摘要与其读数不符",
        Problem.NEVER_CALIBRATED: "{where}：{n} 条读数来自没有校准证书的探头",
        Problem.GATEWAY_COUNTS: "{where}：完整性自网关接收起计，而非自传感器起计",
        Problem.ABSENT: "{where}：该设备没有任何数据",
    },
    {
        "head": "{outcome}：{title}",
        "interval": "自 {begin} 至 {end}（UTC）。",
        "clause": "第 {number} 条：{outcome}。{prose}",
        "excursion": "    {where}：{begin} 至 {end}，{time}，最差 {worst} °C（限值 {limit} °C）",
        "stay": "    {where}：{begin} 至 {end} 在区域内，{time}",
        "more": "    另有 {n} 次",
        "amount": "应付：{amount} {currency}，上限 {cap} {currency}。",
        "nothing": "无需支付。",
        "problems": "以下内容未作为依据，或仅能谨慎采信：",
        "condition": "    条件：{text}",
        "fact": "    {name} = {proven}；缺失时间按最不利计为 {worst}（{operator}）",
        "ids": "合同 {contract}，托运 {consignment}，裁定 {digest}。",
        "source": "{where}：由 {seq_by} 计数；无证据时间 {missing}；校准证书：{c}",
        "nocert": "无",
        "parties": "当事方：{parties}。",
        "rule": "每条读数的效力持续到下一条读数，最长 {gap}。允许无证据时间最多 {allowed}。",
    },
)
_TABLE: Final = {"en": _EN, "zh": _ZH}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """All that an explanation needs. prose and money: None where this reader has not got them."""

    core: Core
    verdict: Verdict
    case: Case
    money: Money | None = None
    prose: Prose | None = None


def explain(about: Explained, *, language: str = "en", for_judge: bool = False) -> list[str]:
    """The lines; language "en" or "zh"."""
    say = _TABLE[language]
    verdict, prose = about.verdict, about.prose
    title = prose.title(language) if prose else verdict.contract_id.hex()[:8]
    lines = [
        say.lines["head"].format(outcome=say.outcomes[verdict.outcome], title=title),
        say.lines["interval"].format(begin=_moment(verdict.from_ms), end=_moment(verdict.to_ms)),
    ]
    if for_judge:
        lines += _identities(about, say)
    for clause, (number, outcome) in zip(about.core.clauses, verdict.clauses, strict=True):
        words = prose.clause(number, language) if prose else ""
        lines.append(
            say.lines["clause"].format(number=number, outcome=say.outcomes[outcome], prose=words)
        )
        if for_judge:
            lines.append(say.lines["condition"].format(text=clause.condition.text))
        if for_judge or outcome == Outcome.BROKEN:
            lines += _behind(about, clause.condition.names, say, for_judge=for_judge)
    lines += _amount(about, say)
    return lines + _problems(about, say, for_judge=for_judge)


def _identities(about: Explained, say: _Words) -> list[str]:
    verdict, core = about.verdict, about.core
    parties = ", ".join(f"{role} {party.hex()}" for party, role in core.parties)
    return [
        say.lines["ids"].format(
            contract=verdict.contract_id.hex(),
            consignment=verdict.consignment_id.hex(),
            digest=verdict.digest.hex(),
        ),
        say.lines["parties"].format(parties=parties),
        say.lines["rule"].format(gap=duration(core.gap_ms), allowed=duration(core.missing_ms_max)),
        *(
            say.lines["source"].format(
                where=f"{device}/{channel}",
                seq_by=seq_by,
                missing=duration(missing),
                c=certificate or say.lines["nocert"],
            )
            for device, channel, seq_by, certificate, missing, _ in verdict.sources
        ),
    ]


def _behind(about: Explained, names: frozenset[str], say: _Words, *, for_judge: bool) -> list[str]:
    """The numbers of a clause, and the readings that they come from."""
    values = {name: (proven, worst) for name, proven, worst in about.verdict.facts}
    lines, shown = list[str](), set[str]()
    for fact in about.core.facts:
        if fact.name not in names:
            continue
        proven, worst = values[fact.name]
        unit = OPERATORS[fact.operator].unit
        if for_judge:
            lines.append(
                say.lines["fact"].format(
                    name=fact.name, proven=_value(proven, unit), worst=_value(worst, unit),
                    operator=f"{fact.operator} {dict(fact.parameters)}",
                )
            )  # fmt: skip  # a row
        for line in _readings(about, fact, say):
            if line not in shown:
                shown.add(line)
                lines.append(line)
    return lines


def _readings(about: Explained, fact: Fact, say: _Words) -> list[str]:
    """The excursions or stays behind a fact, by channel."""
    quantity = OPERATORS[fact.operator].quantity
    rows = list[str]()
    for trace in about.case.of(quantity or ""):
        where = f"{trace.device_id}/{trace.channel}"
        if "limit" in fact.parameters:
            rows += [
                say.lines["excursion"].format(
                    where=where,
                    begin=_moment(item.from_ms),
                    end=_moment(item.to_ms),
                    time=duration(item.length_ms),
                    worst=_degrees(item.worst),
                    limit=_degrees(fact.parameters["limit"]),
                )
                for item in excursions_of(fact, trace, about.case)
            ]
        elif "ring" in fact.parameters:
            rows += [
                say.lines["stay"].format(
                    where=where,
                    begin=_moment(stay.from_ms),
                    end=_moment(stay.to_ms),
                    time=duration(stay.length_ms),
                )
                for stay in stays_of(fact, trace, about.case)
            ]
    if len(rows) <= EXCURSIONS_SHOWN:
        return rows
    more = say.lines["more"].format(n=len(rows) - EXCURSIONS_SHOWN)
    return [*rows[:EXCURSIONS_SHOWN], more]


def _amount(about: Explained, say: _Words) -> list[str]:
    verdict = about.verdict
    if not verdict.amount:
        return [say.lines["nothing"]]
    cap = money_words(about.money.cap) if about.money else "?"
    return [
        say.lines["amount"].format(
            amount=money_words(verdict.amount), currency=verdict.currency, cap=cap
        )
    ]


def _problems(about: Explained, say: _Words, *, for_judge: bool) -> list[str]:
    rows: Sequence[tuple[Problem, str, str, int]] = about.verdict.problems
    if not for_judge:
        rows = [row for row in rows if row[0] != Problem.GATEWAY_COUNTS]
    if not rows:
        return []
    return [
        say.lines["problems"],
        *(
            "  "
            + say.problems[code].format(
                where=f"{device}/{channel}" if channel else device, time=duration(n), n=n
            )
            for code, device, channel, n in rows
        ),
    ]


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(length_ms: int) -> str:
    """A length of time as 1:02:03 (hours, minutes, seconds)."""
    seconds = length_ms // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _degrees(milli: int) -> str:
    return f"{'-' if milli < 0 else ''}{abs(milli) // 1000}.{abs(milli) % 1000:03}".rstrip(
        "0"
    ).rstrip(".")


def money_words(minor: int) -> str:
    """An amount of a currency with hundredths."""
    return f"{minor // 100}.{minor % 100:02}"


def _value(value: int | None, unit: str) -> str:
    if value is None:
        return "?"
    return (
        f"{value} ms ({duration(value)})"
        if unit == "ms"
        else (str(value) if unit == "1" else f"{value} {unit}")
    )
