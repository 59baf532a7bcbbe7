"use strict";
/* The words of the page, in both languages. A place for a value is {name}. */
const Words = (() => {
  const all = {
    en: {
      other: "中文",
      strip: "Temperature and events",
      map: "Track",
      ledger: "Sealed and anchored",
      account: "The account",
      proof: "The proof",
      readings: "Readings as a table",
      footer: "A page shows; the proof bundle proves. Times are in {zone}.",
      waiting: "Waiting for the first reading",
      waitingHint: "It appears here as soon as a device speaks.",
      live: "live",
      lost: "no connection, trying again",
      done: "finished",
      report: "report",
      journaled: "journaled",
      anchored: "anchored",
      opened: "opened",
      stateLive: "live, not proven",
      stateJournaled: "journaled on this disk",
      stateAnchored: "anchored on the chain",
      stateOpened: "opened and checked",
      stateGap: "gap, signed",
      outage: "no uplink",
      kill: "gateway killed",
      gap: "gap",
      above: "above the limit",
      below: "below the limit",
      limits: "{low} to {high} °C",
      inside: "inside {low} to {high} °C",
      outside: "{minutes} outside",
      allInside: "Every reading inside its limits",
      someOutside: "{count} readings outside their limits",
      span: "{low} to {high} °C over {time}",
      proven: "Proven",
      refuted: "Not proven",
      provenLine: "Everything acknowledged is there and verifies",
      refutedLine: "Read the lines of the proof below",
      blocks: "{blocks} blocks, {anchors} anchored",
      time: "Time",
      gateway: "Gateway",
      block: "Block",
      count: "Readings",
      digest: "Digest",
      chain: "Chain block",
      state: "State",
      sensor: "Sensor",
      value: "°C",
      notYet: "not yet",
      name: "Device",
      sent: "Sent",
      acknowledged: "Acknowledged",
      in_blocks: "In blocks",
      mirrored: "Mirrored",
      missing: "Acknowledged but missing",
      uncovered: "Sent while down, no signed gap",
      total: "All",
      verifyWith: "Check it yourself, with no network:",
      copy: "Copy",
      copied: "Copied",
      rejected: "{count} lines of the events file could not be drawn",
      stillOpen: "going on",
      lastRows: "The last {shown} of {all} readings.",
      now: "now",
      start: "start",
      noTrack: "No position yet",
      noBlocks: "No block sealed yet",
      scale: "{length}",
      hours: "{h} h {m} min",
      minutes: "{m} min",
      seconds: "{s} s",
      stripHint: "Chart of {count} sensors on one time axis. Left and right arrow keys move the cursor.",
    },
    zh: {
      other: "English",
      strip: "温度与事件",
      map: "行车轨迹",
      ledger: "封存与上链",
      account: "对账",
      proof: "证明",
      readings: "读数表",
      footer: "页面只作展示，证明以证明包为准。时间按 {zone} 显示。",
      waiting: "等待第一个读数",
      waitingHint: "设备一上报，就会显示在这里。",
      live: "实时",
      lost: "连接中断，正在重试",
      done: "已结束",
      report: "报告",
      journaled: "已落盘",
      anchored: "已上链",
      opened: "已核验",
      stateLive: "实时，尚未证明",
      stateJournaled: "已写入本机日志",
      stateAnchored: "已锚定到链上",
      stateOpened: "对方已打开并核验",
      stateGap: "缺口，已签名",
      outage: "上行中断",
      kill: "网关被强制终止",
      gap: "缺口",
      above: "高于上限",
      below: "低于下限",
      limits: "{low} 至 {high} °C",
      inside: "在 {low} 至 {high} °C 之内",
      outside: "超限 {minutes}",
      allInside: "所有读数都在限值之内",
      someOutside: "{count} 个读数超出限值",
      span: "{time} 内 {low} 至 {high} °C",
      proven: "已证明",
      refuted: "未能证明",
      provenLine: "凡已确认的读数都在，且验证通过",
      refutedLine: "请看下方证明的说明",
      blocks: "{blocks} 个区块，{anchors} 个已上链",
      time: "时间",
      gateway: "网关",
      block: "区块",
      count: "读数",
      digest: "摘要",
      chain: "链上高度",
      state: "状态",
      sensor: "传感器",
      value: "°C",
      notYet: "尚未",
      name: "设备",
      sent: "已发送",
      acknowledged: "已确认",
      in_blocks: "已入块",
      mirrored: "已有副本",
      missing: "已确认却缺失",
      uncovered: "停机期间发送且无签名缺口",
      total: "合计",
      verifyWith: "可自行离线核验：",
      copy: "复制",
      copied: "已复制",
      rejected: "事件文件中有 {count} 行无法显示",
      stillOpen: "仍在持续",
      lastRows: "共 {all} 个读数，显示最近 {shown} 个。",
      now: "当前",
      start: "起点",
      noTrack: "还没有位置",
      noBlocks: "还没有封存的区块",
      scale: "{length}",
      hours: "{h} 小时 {m} 分",
      minutes: "{m} 分钟",
      seconds: "{s} 秒",
      stripHint: "{count} 个传感器共用一条时间轴。按左右方向键移动游标。",
    },
  };
  let language = "en";

  function say(key, values = {}) {
    const text = all[language][key] ?? all.en[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
  }

  function duration(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 60) return say("seconds", { s: seconds });
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return say("minutes", { m: minutes });
    return say("hours", { h: Math.floor(minutes / 60), m: String(minutes % 60).padStart(2, "0") });
  }

  /* A text of an event may come in Chinese beside its English. */
  function told(body, field) {
    return (language === "zh" && body[`${field}_zh`]) || body[field] || "";
  }

  function locale() {
    return language === "zh" ? "zh-CN" : "en-GB";
  }

  function clock(ms, withSeconds) {
    const shape = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    if (withSeconds) shape.second = "2-digit";
    return new Intl.DateTimeFormat(locale(), shape).format(ms);
  }

  function day(ms) {
    return new Intl.DateTimeFormat(locale(), { day: "numeric", month: "short" }).format(ms);
  }

  function zone(ms) {
    const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "longOffset" }).formatToParts(ms);
    const offset = parts.find((part) => part.type === "timeZoneName")?.value ?? "";
    return /^GMT(\+00:00)?$/.test(offset) ? "UTC" : offset.replace("GMT", "UTC");
  }

  return {
    say, duration, told, clock, day, zone,
    get language() { return language; },
    set language(value) { language = value in all ? value : "en"; },
  };
})();
