"""The local page's words in its two languages. What has no word here is shown as it is."""

from collections.abc import Mapping
from typing import Final

ENGLISH: Final = "en"
CHINESE: Final = "zh"
LANGUAGES: Final = {ENGLISH: "English", CHINESE: "中文"}

_CHINESE: Final[Mapping[str, str]] = {
    "all is well": "一切正常",
    "1 thing wants a hand": "有 1 项需要处理",
    "{} things want a hand": "有 {} 项需要处理",
    "an alarm stands": "有报警",
    "{} alarms stand": "有 {} 个报警",
    "Gateway": "网关",
    "This box": "本机",
    "Devices": "设备",
    "Alarms": "报警",
    "good": "正常",
    "look": "需处理",
    "silent": "无数据",
    "raised": "报警中",
    "clear": "正常",
    "no value since the start": "启动后尚无数值",
    "no device has spoken yet": "尚无设备上报",
    "above": "高于",
    "below": "低于",
    "last": "最近",
    "readings": "读数",
    "do": "处理办法",
    "Updated": "更新时间",
    "clock": "时钟",
    "disk": "磁盘空间",
    "disk wear": "磁盘寿命",
    "device": "设备",
    "probe": "探头",
    "gateway": "网关程序",
    "backlog": "待上链",
    "the clock has no time": "时钟没有时间",
    "nothing disciplines the clock; readings are marked so": "时钟未同步，读数已如此标注",
    "satellite time, from a receiver on this box": "卫星授时",
    "network and satellite time agree": "网络与卫星时间一致",
    "not known before ten minutes of running": "运行十分钟后才知道",
    "enable systemd-timesyncd or chrony, add a clock module or a GNSS receiver": (
        "启用 systemd-timesyncd 或 chrony，或加装时钟模块、卫星接收机"
    ),
    "free space, or move data_dir to a larger disk": "清理空间，或把 data_dir 移到更大的磁盘",
    "use a disk of higher endurance, or seal less often: [seal] interval_s": (
        "换用耐写磁盘，或降低封块频率：[seal] interval_s"
    ),
    "plug it in; `wharf devices` lists what is": "插上设备，`wharf devices` 列出已连接的设备",
    "see its log": "查看日志",
    "the chain machine is away or refuses; see its finding": "链上机器离线或拒绝",
    "have the probe calibrated, then `wharf devices replace`": (
        "请校准探头，然后运行 `wharf devices replace`"
    ),
    "calibration": "校准",
    "look at its battery, its cable, its distance": "检查电池、线缆和距离",
    "too few parties mirror or open this feed for its readings to leave; see [retention]": (
        "镜像或打开本数据的机构太少，读数无法移出，见 [retention]"
    ),
}


def word(english: str, language: str) -> str:
    """The word in a language, the English one where there is no other."""
    return _CHINESE.get(english, english) if language == CHINESE else english


def preferred(accepted: str) -> str:
    """The language that a browser's Accept-Language asks for first (RFC 9110, 12.5.4), of ours."""
    for item in accepted.split(",")[:16]:
        name = item.partition(";")[0].strip().lower()[:2]
        if name in LANGUAGES:
            return name
    return ENGLISH
