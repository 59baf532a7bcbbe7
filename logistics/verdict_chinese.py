"""What a finding says in Chinese: a sentence each."""

from collections.abc import Callable
from typing import Any, Final

from ledger.verdict import Code, Outcome
from logistics.moments import moment_words, span_words
from logistics.reading import (
    FLAG_APART,
    FLAG_CLOCK_JUMP,
    FLAG_PLACE_JUMP,
    FLAG_RATE,
    FLAG_STALE,
    FLAG_STUCK,
    FLAG_SUSPECT,
    FLAG_UNAUTHENTICATED,
    GapReason,
)

HEADLINES: Final = {
    Outcome.PROVEN: "已证明",
    Outcome.REFUTED: "不成立",
    Outcome.UNCHECKED: "未能证明",
}
_CLOCKS: Final = (
    "没有时钟",
    "设备自身的时钟（未校正）",
    "网络时间（未认证）",
    "卫星时间",
    "两个一致的时间来源",
)
_LEVELS: Final = ("软件密钥", "自称的硬件密钥", "经证明的硬件密钥")
_GAPS: Final = {
    GapReason.SILENT: "设备没有发送数据",
    GapReason.GATEWAY_DOWN: "网关停机",
    GapReason.INPUT_OVERRUN: "数据过多无法接收",
    GapReason.JOURNAL_CORRUPTION: "磁盘损坏了尚未封存的条目",
    GapReason.DISK_FULL: "磁盘已满",
    GapReason.UNPLUGGED: "设备端口已断开",
}
MARKS: Final = {
    FLAG_SUSPECT: "时间或地点不可能",
    FLAG_UNAUTHENTICATED: "任何人都可能发送",
    FLAG_STALE: "时间早一小时以上",
    FLAG_RATE: "变化过快",
    FLAG_STUCK: "数值停滞",
    FLAG_APART: "与相邻传感器相差过大",
    FLAG_PLACE_JUMP: "位置无法到达",
    FLAG_CLOCK_JUMP: "设备时钟跳变之后",
}
Values = dict[str, Any]


def _complete(v: Values) -> str:
    by = "网关接收" if v["seq_by"] == "gateway" else "传感器"
    return (
        f"{v['channel']}：区间内 {v['inside']} 条读数，共展示 {v['readings']} 条；"
        f"其间无任何遗漏，自{by}起计数。"
    )


def _anchored(v: Values) -> str:
    before = moment_words(v["from_ms"]) if v["from_ms"] else "数据流的起点"
    return (
        f"网关 {v['gateway']}（{v['party']}）：之前锚定于 {before}，"
        f"之后锚定于 {moment_words(v['to_ms'])}。"
    )


def _gap(v: Values) -> str:
    why = _GAPS.get(v["reason"], f"原因 {v['reason']}")
    start = moment_words(v["from_us"] // 1000) if v["from_us"] else "未知时间"
    if v["to_us"] is None:
        return f"{v['channel']}：自 {start} 起没有读数：{why}。由网关自行说明。"
    length = span_words((v["to_us"] - (v["from_us"] or v["to_us"])) // 1000)
    return f"{v['channel']}：自 {start} 起 {length} 内没有读数：{why}。由网关自行说明。"


def _clock_step(v: Values) -> str:
    if v["before_us"] is None or v["after_us"] is None:
        return "区间内网关时钟被调整，幅度未说明。"
    return f"区间内网关时钟被调整了 {(v['after_us'] - v['before_us']) / 1e6:+.1f} 秒。"


def _moment_of(wall_us: int | None) -> str:
    return moment_words(None if wall_us is None else wall_us // 1000)


WORDS: Final[dict[Code, Callable[[Values], str]]] = {
    Code.REFUTED: lambda v: f"文件不成立：{v['reason']}。",
    Code.UNCHECKED: lambda v: f"无法核验：{v['reason']}。",
    Code.UNTRUSTED: lambda v: (
        f"文件自身一致，但无人为其签发者担保：链 {v['chain_id']} 的起始摘要为 "
        f"{v['genesis_sha256'][:16]}…如果您从其他途径知道该摘要，请用 --trust 给出。"
    ),
    Code.COMPLETE: _complete,
    Code.ABSENT: lambda v: f"槽位 {v['slot']}：已为该设备登记，但在此范围的区块中没有出现。",
    Code.FROM_BEGINNING: lambda _: "该区间一直追溯到最早的一条读数。",
    Code.ANCHORED: _anchored,
    Code.OPENED: lambda v: (
        f"{v['party']} 打开了 {v['of']} 个区块中的 {v['blocks']} 个，核验后签名确认无误。"
    ),
    Code.NOT_OPENED: lambda v: f"{v['of']} 个区块中有 {v['blocks']} 个没有被其他机构打开过。",
    Code.MIRRORED: lambda v: f"{v['party']} 签名确认其持有副本。",
    Code.DEVELOPMENT_KEY: lambda v: (
        f"网关 {v['gateway']} 使用软件中的开发密钥签名：复制该密钥者即可签名。"
    ),
    Code.ONE_PARTY: lambda _: "该链仅依赖一个机构的密钥：该机构可以单独改写它。",
    Code.VALIDATORS: lambda v: (
        f"链 {v['chain_id']}：{v['parties']} 个机构的 {v['count']} 个验证节点。"
    ),
    Code.GAP: _gap,
    Code.CLOCK: lambda v: (
        f"{v['channel']}：时间来自{_CLOCKS[v['worst']]}，"
        f"误差不超过 ± {span_words(v['unc_us'] // 1000)}。"
    ),
    Code.NO_CLOCK: lambda v: f"{v['channel']}：{v['readings']} 条读数产生于时钟可用之前。",
    Code.CLOCK_STEP: _clock_step,
    Code.BEHIND: lambda v: (
        f"网关 {v['gateway']} 已将 {moment_words(v['until_ms'])} 之前收到的内容全部封入区块；"
        "此后收到的内容可能在未展示的后续区块中。"
    ),
    Code.CONFIGURATION: lambda v: f"网关 {v['gateway']} 按 SHA-256 为 {v['digest']} 的配置运行。",
    Code.STARTED: lambda v: (
        f"网关 {v['gateway']} 于 {_moment_of(v['at_us'])} 启动，软件为 {v['software']}。"
    ),
    Code.LATE: lambda v: f"{v['channel']}：{v['readings']} 条读数的时间在其锚定范围之外。",
    Code.RETIRED: lambda v: f"{v['channel']}：该通道在区间内退役。",
    Code.MISSING: lambda v: (
        f"数据流 {v['feed'][:8]} 由其所有者重新开始：此前最多可能缺失 {v['entries_max']:,} 条。"
    ),
    Code.REVOKED_LATER: lambda v: f"该密钥后来于 {moment_words(v['at_ms'])} 被撤销。",
    Code.ENDED: lambda v: (
        f"网关于 {moment_words(v['at_ms'])} {'退役' if v['retired'] else '被撤销'}；"
        f"其最后一个区块锚定于 {moment_words(v['last_ms'])}，此后再无内容。"
    ),
    Code.KEY_CHANGED: lambda v: (
        f"密钥 {v['new'][:8]}… 于 {moment_words(v['at_ms'])} 接替密钥 {v['old'][:8]}…，"
        "双方互相签名。"
    ),
    Code.DISPUTED: lambda v: f"{v['party']} 称区块 {v['height']} 有问题，但此处没有证据。",
    Code.KEY: lambda v: f"签名密钥 {v['kid'][:8]}…：{_LEVELS[v['level']]}。",
}
