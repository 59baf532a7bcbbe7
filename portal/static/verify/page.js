// The page around the verifier: a file in, the verdict out. Nothing leaves the machine.

import { hex, sha256, unhex } from "./bytes.js";
import { verify } from "./judge.js";
import { headline, lines, moment, telemetryOf } from "./words.js";

const ROWS_MAX = 500;
const TEXTS = {
  en: {
    title: "Check a proof", lead: "Choose a .wharf file. It is checked here, in your browser; nothing is sent anywhere.",
    choose: "Choose the file, or drop it here", trust: "Digest of the chain's genesis document",
    hint: "64 hexadecimal digits, from somebody other than the one who gave you the file. Without it nothing is proven.",
    wrong: "That is not 64 hexadecimal digits.", working: "Checking…", file: "SHA-256 of the file",
    readings: "Readings", time: "Time (UTC)", value: "Value", more: "Only the first {n} of {all} are listed.",
    outcome: { proven: "✓", refuted: "✗", unchecked: "?" }, language: "中文", gone: "The file could not be read.",
  },
  zh: {
    title: "核验证明", lead: "请选择 .wharf 文件。核验在您的浏览器内完成，不会发送任何内容。",
    choose: "选择文件，或拖放到此处", trust: "链的创世文档摘要",
    hint: "64 位十六进制数字，须来自提供文件者以外的人。没有它则不构成证明。",
    wrong: "这不是 64 位十六进制数字。", working: "正在核验…", file: "文件的 SHA-256",
    readings: "读数", time: "时间（UTC）", value: "数值", more: "仅列出 {all} 条中的前 {n} 条。",
    outcome: { proven: "✓", refuted: "✗", unchecked: "?" }, language: "English", gone: "无法读取该文件。",
  },
};
const at = (id) => document.getElementById(id);
let language = navigator.language.startsWith("zh") ? "zh" : "en";
let shown = null; // {verdict, digest}
let held = null; // bytes of the file

function put(parent, tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  parent.append(element);
  return element;
}

function words() {
  const texts = TEXTS[language];
  document.documentElement.lang = language;
  document.title = texts.title;
  for (const id of ["title", "lead", "choose", "hint"]) at(id).textContent = texts[id];
  at("trust-label").textContent = texts.trust;
  at("language").textContent = texts.language;
}

function draw() {
  words();
  const place = at("verdict");
  place.replaceChildren();
  if (!shown) return;
  const { verdict, digest } = shown;
  const texts = TEXTS[language];
  const said = lines(verdict, language);
  place.className = verdict.outcome;
  const head = put(place, "h2");
  put(head, "span", texts.outcome[verdict.outcome], "sign");
  put(head, "span", headline(verdict, language));
  const list = put(place, "ul");
  for (const line of said.slice(1)) put(list, "li", line);
  put(place, "p", `${texts.file}: ${digest}`, "digest");
  if (verdict.outcome !== "refuted") readings(place, verdict.entries, texts);
}

function readings(place, entries, texts) {
  const rows = entries.map((entry) => ({ entry, reading: telemetryOf(entry) })).filter((row) => row.reading);
  if (!rows.length) return;
  const details = put(place, "details");
  put(details, "summary", `${texts.readings}: ${rows.length}`);
  if (rows.length > ROWS_MAX) put(details, "p", texts.more.replace("{n}", ROWS_MAX).replace("{all}", rows.length));
  const table = put(details, "table");
  const header = put(put(table, "thead"), "tr");
  for (const text of [texts.time, texts.value]) put(header, "th", text);
  const body = put(table, "tbody");
  for (const { entry, reading } of rows.slice(0, ROWS_MAX)) {
    const row = put(body, "tr");
    put(row, "td", entry.wallUs === null ? "–" : moment(Number(entry.wallUs) / 1000));
    const digits = Math.min(12, Math.max(0, -reading.exponent));
    const unit = reading.unit === "CEL" ? "°C" : reading.unit;
    put(row, "td", `${(reading.value * 10 ** reading.exponent).toFixed(digits)} ${unit}`);
  }
}

async function check() {
  const text = at("trust").value.trim().toLowerCase();
  const isWrong = text !== "" && !/^[0-9a-f]{64}$/.test(text);
  at("trust").setAttribute("aria-invalid", String(isWrong));
  at("note").textContent = isWrong ? TEXTS[language].wrong : "";
  if (isWrong || !held) return;
  at("note").textContent = TEXTS[language].working;
  await new Promise((resume) => setTimeout(resume)); // lets the word be drawn
  shown = { verdict: await verify(held, text ? unhex(text) : null), digest: hex(sha256(held)) };
  at("note").textContent = "";
  draw();
}

async function take(file) {
  if (!file) return;
  try {
    held = new Uint8Array(await file.arrayBuffer());
  } catch {
    at("note").textContent = TEXTS[language].gone;
    return;
  }
  await check();
}

function begin() {
  const pinned = document.querySelector('meta[name="wharf-trust"]')?.content ?? "";
  at("trust").value = pinned;
  at("file").addEventListener("change", (event) => take(event.target.files[0]));
  at("trust").addEventListener("change", check);
  at("language").addEventListener("click", () => {
    language = language === "en" ? "zh" : "en";
    draw();
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  draw();
}

if (typeof document !== "undefined" && at("verdict")) begin();
globalThis.wharf = { verify, lines, unhex };
