"""Words of the deposit's report and commands, English and Chinese."""

from __future__ import annotations

from typing import Final

from logistics.deposit import StampFound
from logistics.moments import moment_words

WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "title": "Report on deposited evidence",
        "stamps": "Outside time stamps",
        "no_stamps": "None: the only clock is the chain's own.",
        "not_proven": "What this does not prove",
        "limits": (
            "That the probe was right, or where it hung: only what it said, and that nothing of "
            "it was left out or changed since the gateway took it.\n"
            "Anything about whoever held the keys of more than two thirds of the validators: they "
            "could make another chain.\n"
            "The identity of the persons behind an organisation: the chain names who verified it."
        ),
        "which": "What this report is about",
        "file": "File",
        "digest": "SHA-256 of the file",
        "trust": "Digest of the chain's genesis document, as the reader gave it",
        "no_trust": "none was given",
        "verifier": "SHA-256 of the browser's verifier that goes with it",
        "made": "Report made at",
    },
    "zh": {
        "title": "电子证据存证报告",
        "stamps": "外部时间戳",
        "no_stamps": "无：唯一的时间来源是链自身的时间。",
        "not_proven": "本报告不能证明的内容",
        "limits": (
            "探头本身是否准确、安装在何处：仅证明其所报告的内容，以及自网关接收以来没有遗漏或更改。\n"
            "掌握超过三分之二验证节点密钥者的行为：他们可以另造一条链。\n"
            "机构背后人员的身份：链上仅记载由谁核实。"
        ),
        "which": "本报告所指文件",
        "file": "文件",
        "digest": "文件的 SHA-256",
        "trust": "链的创世文档摘要（由读者提供）",
        "no_trust": "未提供",
        "verifier": "配套浏览器核验页的 SHA-256",
        "made": "报告生成时间",
    },
}


_NO_ROOT: Final = {
    "en": "no root was given, and its signature was not checked",
    "zh": "未提供根证书，签名未核验",
}


def stamp_line(found: StampFound, language: str) -> str:
    """One stamp in a sentence. language: "en" or "zh"."""
    made = moment_words(found.stamped_ms)
    signer = found.signer or found.authority
    if found.stamped_ms is None:
        if language == "zh":
            return f"{found.authority}：没有取得时间戳：{found.problem}。"
        return f"{found.authority}: no stamp was had: {found.problem}."
    if found.problem is not None:
        if language == "zh":
            return f"{signer}：时间戳不成立：{found.problem}。"
        return f"{signer}: the stamp does not hold: {found.problem}."
    if found.vouched:
        if language == "zh":
            return f"{signer} 于 {made} 盖章，其证书可追溯到您信任的根证书。"
        return f"Stamped by {signer} at {made}; its certificate leads to a root that you trust."
    doubt = found.doubt or _NO_ROOT[language]
    if language == "zh":
        return f"{signer} 于 {made} 盖章；无人为该签发者担保：{doubt}。"
    return f"Stamped by {signer} at {made}; nobody vouches for the signer: {doubt}."
