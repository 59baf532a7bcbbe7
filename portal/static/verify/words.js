// A verdict in plain words, English and Chinese: what is proven first, then what is not.

import { isInt, isList, isText } from "./cbor.js";

const HEAD = {
  en: { proven: "PROVEN", refuted: "REFUTED", unchecked: "NOT PROVEN" },
  zh: { proven: "已证明", refuted: "不成立", unchecked: "未能证明" },
};
const CLOCKS = {
  en: ["no clock", "the box's own clock, which nothing disciplined", "network time, not authenticated",
    "satellite time", "two sources that agreed"],
  zh: ["没有时钟", "设备自身的时钟（未校正）", "网络时间（未认证）", "卫星时间", "两个一致的时间来源"],
};
const LEVELS = {
  en: ["software", "hardware as claimed", "attested hardware"],
  zh: ["软件密钥", "自称的硬件密钥", "经证明的硬件密钥"],
};
const GAPS = {
  en: [, "the device was silent", "the gateway was down", "more came than could be taken",
    "the disk damaged entries that were not sealed yet", "the disk was full", "the device's port was gone"],
  zh: [, "设备没有发送数据", "网关停机", "数据过多无法接收", "磁盘损坏了尚未封存的条目", "磁盘已满", "设备端口已断开"],
};
const MARKS = {
  en: [[1, "with a time or place that cannot be"], [8, "that anyone could have sent"],
    [16, "with a time more than an hour back"], [32, "that changed faster than they can"],
    [64, "stuck at one value"], [128, "far from their neighbours"], [256, "at a place out of reach"],
    [512, "behind a jump of the device's clock"]],
  zh: [[1, "时间或地点不可能"], [8, "任何人都可能发送"], [16, "时间早一小时以上"], [32, "变化过快"],
    [64, "数值停滞"], [128, "与相邻传感器相差过大"], [256, "位置无法到达"], [512, "设备时钟跳变之后"]],
};

const UNKNOWN_TIME = "an unknown time";

export function moment(ms) {
  if (ms === null) return UNKNOWN_TIME;
  const date = new Date(Math.floor(Number(ms) / 1000) * 1000);
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() > 9999 || date.getUTCFullYear() < 1) {
    return `${ms} ms from 1970`;
  }
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export function span(ms) {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  const minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

const signed = (us) => `${us < 0 ? "-" : "+"}${(Math.abs(us) / 1e6).toFixed(1)}`;
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

const EN = {
  refuted: (v) => `The file does not hold: ${v.reason}.`,
  unchecked: (v) => `It could not be checked: ${v.reason}.`,
  "issuer-unknown": (v) => `Consistent in itself, but nobody vouches for the issuer: chain ${v.chain} begins `
    + `with ${v.genesis.slice(0, 16)}… If you know that digest from elsewhere, give it above.`,
  complete: (v) => `${v.channel}: ${v.inside} readings in the interval, ${v.readings} shown; nothing between them `
    + `is missing, counted from ${v.countedBy === "gateway" ? "the gateway's intake" : "the sensor"} on.`,
  absent: (v) => `Slot ${v.slot}: recorded for the device, but it stands in no block of the span.`,
  "from-beginning": () => "The interval reaches back to the first reading ever counted.",
  anchored: (v) => `Gateway ${v.gateway} (${v.party}): anchored before at `
    + `${v.fromMs ? moment(v.fromMs) : "the feed's beginning"}, after at ${moment(v.toMs)}.`,
  opened: (v) => `${v.party} opened ${v.blocks} of ${v.of} blocks, checked them and signed that they are good.`,
  "not-opened": (v) => `${v.blocks} of ${v.of} blocks were opened by no other organisation.`,
  mirrored: (v) => `${v.party} signed that it holds a copy.`,
  "development-key": (v) => `Gateway ${v.gateway} signs with a development key, held in software: who copies it can sign.`,
  "rests-on-one-party": () => "The chain rests on one party's key: that party alone could rewrite it.",
  validators: (v) => `Chain ${v.chain}: ${v.count} validators of ${v.parties} organisations.`,
  gap: (v) => {
    const why = GAPS.en[v.reason] ?? `reason ${v.reason}`;
    const start = v.fromUs ? moment(v.fromUs / 1000) : "an unknown time";
    if (v.toUs === null) return `${v.channel}: no readings from ${start} on: ${why}. The gateway says so itself.`;
    const length = span((v.toUs - (v.fromUs || v.toUs)) / 1000);
    return `${v.channel}: no readings for ${length} from ${start}: ${why}. The gateway says so itself.`;
  },
  "clock-quality": (v) => `${v.channel}: times by ${CLOCKS.en[v.worst]}, right to ± ${span(v.uncUs / 1000)}.`,
  "no-clock": (v) => `${v.channel}: ${v.readings} readings came before any clock was known.`,
  "clock-step": (v) => (v.beforeUs === null || v.afterUs === null
    ? "The gateway's clock was set in it; by how much is not said."
    : `The gateway's clock was set by ${signed(v.afterUs - v.beforeUs)} s in it.`),
  behind: (v) => `Gateway ${v.gateway} had put what came up to ${moment(v.untilMs)} into blocks; `
    + "what came after that may stand in later ones, which are not shown.",
  configuration: (v) => `Gateway ${v.gateway} ran by the configuration with SHA-256 ${v.digest}.`,
  started: (v) => `Gateway ${v.gateway} was started at ${moment(v.atUs === null ? null : Number(v.atUs) / 1000)} `
    + `with software ${v.software}.`,
  late: (v) => `${v.channel}: ${v.readings} readings are dated outside their anchors.`,
  retired: (v) => `${v.channel}: the channel was retired in the interval.`,
  missing: (v) => `Feed ${v.feed.slice(0, 8)} was begun again by its owner: up to ${grouped(v.entries)} entries `
    + "before that may be missing.",
  "revoked-later": (v) => `The key was revoked later, at ${moment(v.atMs)}.`,
  "feed-ended": (v) => `The gateway was ${v.isRetired ? "retired" : "revoked"} at ${moment(v.atMs)}; its last block `
    + `was anchored at ${moment(v.lastMs)}, and nothing of it follows.`,
  "key-changed": (v) => `Key ${v.after.slice(0, 8)}… followed key ${v.before.slice(0, 8)}… at ${moment(v.atMs)}; `
    + "each signed the other.",
  disputed: (v) => `${v.party} says that block ${v.height} is bad, without evidence here.`,
  key: (v) => `Signing key ${v.key.slice(0, 8)}…: ${LEVELS.en[v.level]}.`,
};

const ZH = {
  refuted: (v) => `文件不成立：${v.reason}。`,
  unchecked: (v) => `无法核验：${v.reason}。`,
  "issuer-unknown": (v) => `文件自身一致，但无人为其签发者担保：链 ${v.chain} 的起始摘要为 ${v.genesis.slice(0, 16)}…`
    + "如果您从其他途径知道该摘要，请在上方填写。",
  complete: (v) => `${v.channel}：区间内 ${v.inside} 条读数，共展示 ${v.readings} 条；其间无任何遗漏，`
    + `自${v.countedBy === "gateway" ? "网关接收" : "传感器"}起计数。`,
  absent: (v) => `槽位 ${v.slot}：已为该设备登记，但在此范围的区块中没有出现。`,
  "from-beginning": () => "该区间一直追溯到最早的一条读数。",
  anchored: (v) => `网关 ${v.gateway}（${v.party}）：之前锚定于 ${v.fromMs ? moment(v.fromMs) : "数据流的起点"}，`
    + `之后锚定于 ${moment(v.toMs)}。`,
  opened: (v) => `${v.party} 打开了 ${v.of} 个区块中的 ${v.blocks} 个，核验后签名确认无误。`,
  "not-opened": (v) => `${v.of} 个区块中有 ${v.blocks} 个没有被其他机构打开过。`,
  mirrored: (v) => `${v.party} 签名确认其持有副本。`,
  "development-key": (v) => `网关 ${v.gateway} 使用软件中的开发密钥签名：复制该密钥者即可签名。`,
  "rests-on-one-party": () => "该链仅依赖一个机构的密钥：该机构可以单独改写它。",
  validators: (v) => `链 ${v.chain}：${v.parties} 个机构的 ${v.count} 个验证节点。`,
  gap: (v) => {
    const why = GAPS.zh[v.reason] ?? `原因 ${v.reason}`;
    const start = v.fromUs ? moment(v.fromUs / 1000) : "未知时间";
    if (v.toUs === null) return `${v.channel}：自 ${start} 起没有读数：${why}。由网关自行说明。`;
    const length = span((v.toUs - (v.fromUs || v.toUs)) / 1000);
    return `${v.channel}：自 ${start} 起 ${length} 内没有读数：${why}。由网关自行说明。`;
  },
  "clock-quality": (v) => `${v.channel}：时间来自${CLOCKS.zh[v.worst]}，误差不超过 ± ${span(v.uncUs / 1000)}。`,
  "no-clock": (v) => `${v.channel}：${v.readings} 条读数产生于时钟可用之前。`,
  "clock-step": (v) => (v.beforeUs === null || v.afterUs === null
    ? "区间内网关时钟被调整，幅度未说明。"
    : `区间内网关时钟被调整了 ${signed(v.afterUs - v.beforeUs)} 秒。`),
  behind: (v) => `网关 ${v.gateway} 已将 ${moment(v.untilMs)} 之前收到的内容全部封入区块；此后收到的内容可能在未展示的后续区块中。`,
  configuration: (v) => `网关 ${v.gateway} 按 SHA-256 为 ${v.digest} 的配置运行。`,
  started: (v) => `网关 ${v.gateway} 于 ${moment(v.atUs === null ? null : Number(v.atUs) / 1000)} 启动，软件为 ${v.software}。`,
  late: (v) => `${v.channel}：${v.readings} 条读数的时间在其锚定范围之外。`,
  retired: (v) => `${v.channel}：该通道在区间内退役。`,
  missing: (v) => `数据流 ${v.feed.slice(0, 8)} 由其所有者重新开始：此前最多可能缺失 ${grouped(v.entries)} 条。`,
  "revoked-later": (v) => `该密钥后来于 ${moment(v.atMs)} 被撤销。`,
  "feed-ended": (v) => `网关于 ${moment(v.atMs)} ${v.isRetired ? "退役" : "被撤销"}；其最后一个区块锚定于 ${moment(v.lastMs)}，此后再无内容。`,
  "key-changed": (v) => `密钥 ${v.after.slice(0, 8)}… 于 ${moment(v.atMs)} 接替密钥 ${v.before.slice(0, 8)}…，双方互相签名。`,
  disputed: (v) => `${v.party} 称区块 ${v.height} 有问题，但此处没有证据。`,
  key: (v) => `签名密钥 ${v.key.slice(0, 8)}…：${LEVELS.zh[v.level]}。`,
};

export const WORDS = { en: EN, zh: ZH };

export function headline(verdict, language = "en") {
  const word = HEAD[language][verdict.outcome];
  const asked = verdict.request;
  if (!asked) return word;
  const joined = language === "en" ? [": ", ", ", " to "] : ["：", "，", " 至 "];
  return `${word}${joined[0]}${asked.device}${joined[1]}${moment(asked.fromMs)}${joined[2]}${moment(asked.toMs)}`;
}

// Readings ------------------------------------------------------------------------------------

const between = (low, high) => (value) => isInt(value) && value >= low && value <= high;
const orNull = (check) => (value) => value === null || check(value);
const INT64 = (1n << 63n) - 1n;
const flags = between(0, 1023);
const timeMs = orNull(between(0, 253_402_300_799_999));
const isUnit = (value) => isText(value) && /^[A-Z0-9]{1,8}$/.test(value);
const small = orNull(between(0, 65_535));
const LAYOUTS = new Map([
  [1, { flags: 4, checks: [between(-INT64, INT64), between(-12, 12), isUnit, flags, timeMs,
    orNull(between(0, (1n << 64n) - 1n))] }],
  [2, { flags: 5, checks: [(v) => v instanceof Uint8Array && v.length <= 62, small, orNull(between(-20_000, 5_000)),
    small, flags, timeMs] }],
  [3, { flags: 10, checks: [between(-900_000_000, 900_000_000), between(-1_800_000_000, 1_800_000_000),
    orNull(between(-1e9, 1e9)), orNull(between(0, 1e9)), orNull(between(0, 36_000)), orNull(between(0, 1e6)),
    orNull(between(0, 255)), between(1, 8), timeMs, flags] }],
]);

// Flags of a reading whose layout is known, else null.
export function flagsOf({ kind, body }) {
  const layout = LAYOUTS.get(kind);
  const isKnown = layout && isList(body) && body[0] === 1 && body.length === layout.checks.length + 1
    && layout.checks.every((check, at) => check(body[at + 1]));
  return isKnown ? body[layout.flags] : null;
}

// Telemetry as {value, exponent, unit, flags}, null for anything else.
export function telemetryOf(entry) {
  const found = entry.kind === 1 ? flagsOf(entry) : null;
  if (found === null) return null;
  const [, value, exponent, unit] = entry.body;
  return { value: Number(value), exponent, unit, flags: found };
}

export function temperatureLine(verdict, language = "en") {
  const { request } = verdict;
  let [low, high, count] = [Infinity, -Infinity, 0];
  for (const entry of verdict.entries) {
    const { wallUs } = entry;
    if (wallUs !== null && (wallUs < request.fromMs * 1000 || wallUs > request.toMs * 1000 + 999)) continue;
    const reading = telemetryOf(entry);
    if (!reading || reading.unit !== "CEL" || reading.flags & ~4) continue;
    const milli = reading.value * 10 ** (reading.exponent + 3);
    [low, high, count] = [Math.min(low, milli), Math.max(high, milli), count + 1];
  }
  if (!count) return null;
  const range = `${(low / 1000).toFixed(1)} ${language === "en" ? "to" : "至"} ${(high / 1000).toFixed(1)} °C`;
  return language === "en" ? `${range} in ${count} readings.` : `${range}，共 ${count} 条读数。`;
}

export function marksLine(verdict, language = "en") {
  const counts = new Map();
  for (const entry of verdict.entries) {
    const found = flagsOf(entry) ?? 0;
    for (const [flag] of MARKS.en) if (found & flag) counts.set(flag, (counts.get(flag) ?? 0) + 1);
  }
  if (!counts.size) return null;
  const words = MARKS[language].filter(([flag]) => counts.has(flag)).map(([flag, word]) => `${counts.get(flag)} ${word}`);
  return language === "en" ? `Marked, and kept as they came: ${words.join(", ")}.` : `已标记并原样保留：${words.join("，")}。`;
}

// Calibrations --------------------------------------------------------------------------------

const FIELDS = ["probe", "number", "issuer", "dated", "due", "sha256"];
const DAY = /^\d{4}-\d{2}-\d{2}$/;

function isDay(text) {
  const at = DAY.test(text) ? new Date(`${text}T00:00:00Z`) : null;
  const isReal = at && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
  return isReal && text !== "9999-12-31" && !text.startsWith("0000");
}

function calibrationOf(text) {
  if (!isText(text) || new TextEncoder().encode(text).length > 256) return null;
  const pairs = text.split(";").map((piece) => [piece.split("=", 1)[0], piece.slice(piece.indexOf("=") + 1)]);
  if (pairs.map(([name]) => name).join() !== FIELDS.join()) return null;
  const found = Object.fromEntries(pairs);
  const isNamed = ["probe", "number", "issuer"].every((name) => found[name] && !/[;=\p{C}]/u.test(found[name]));
  const isDated = isDay(found.dated) && isDay(found.due) && found.dated <= found.due;
  return isNamed && isDated && /^[0-9a-f]{64}$/.test(found.sha256) ? found : null;
}

const PROBES = {
  en: {
    probe: (channel, c) => `${channel}: measured by probe ${c.probe} under certificate ${c.number} of ${c.issuer}, `
      + `dated ${c.dated}, due ${c.due}; the certificate's SHA-256 is ${c.sha256}.`,
    past: (channel, c, count) => `${channel}: ${count} readings came after the calibration ran out at the end of `
      + `${c.due} (certificate ${c.number} of ${c.issuer}): they are marked uncalibrated.`,
    unknown: (channel, count) => `${channel}: ${count} readings came after the calibration of an earlier probe ran `
      + "out: they are marked uncalibrated.",
  },
  zh: {
    probe: (channel, c) => `${channel}：由探头 ${c.probe} 测量，校准证书 ${c.number}（${c.issuer}），`
      + `签发日期 ${c.dated}，有效期至 ${c.due}；证书的 SHA-256 为 ${c.sha256}。`,
    past: (channel, c, count) => `${channel}：有 ${count} 条读数产生于校准到期（${c.due}）之后`
      + `（证书 ${c.number}，${c.issuer}），已标记为“未校准”。`,
    unknown: (channel, count) => `${channel}：有 ${count} 条读数产生于之前探头的校准到期之后，已标记为“未校准”。`,
  },
};

function calibrationLines(verdict, language) {
  const said = [];
  for (const { channel, slot, calibration } of verdict.findings.filter(({ code }) => code === "complete")) {
    const own = verdict.entries.filter((entry) => entry.slot === slot);
    const isChanged = own.some((entry) => isDescriptor(entry));
    const found = [{ known: isChanged ? null : calibrationOf(calibration), past: 0 }];
    for (const entry of own) {
      if (isDescriptor(entry)) found.push({ known: calibrationOf(entry.body[8]), past: 0 });
      else if (entry.kind === 1 && flagsOf(entry) & 4) found.at(-1).past += 1;
    }
    for (const { known, past } of found) {
      if (known) said.push(PROBES[language].probe(channel, known));
      if (past) said.push(known ? PROBES[language].past(channel, known, past) : PROBES[language].unknown(channel, past));
    }
  }
  return said;
}

const isLine = (value) => isText(value) && value && new TextEncoder().encode(value).length <= 256;

function isDescriptor({ kind, body }) {
  const checks = [isLine, isLine, isLine, isUnit, isLine, isLine, orNull(isLine), orNull(isLine), orNull(isInt)];
  return kind === 6 && isList(body) && body[0] === 1 && checks.every((check, at) => check(body[at + 1]));
}

const STAMPS = {
  en: (count) => `The file has ${count} outside time stamps as well; wharf deposit verify checks them.`,
  zh: (count) => `文件中另有 ${count} 个外部时间戳，请用 wharf deposit verify 核验。`,
};

export function lines(verdict, language = "en") {
  const measured = verdict.outcome === "refuted" ? [] : [temperatureLine(verdict, language), marksLine(verdict, language)];
  const said = verdict.findings.map((finding) => WORDS[language][finding.code](finding));
  const probes = verdict.outcome === "refuted" ? [] : calibrationLines(verdict, language);
  const stamped = verdict.stamps ? [STAMPS[language](verdict.stamps)] : [];
  return [headline(verdict, language), ...measured.filter(Boolean), ...said, ...probes, ...stamped];
}
