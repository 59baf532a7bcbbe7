// The one encoding: docs/formats/cbor.md. What has two encodings is refused.
// Integers are numbers where a number holds them exactly, else BigInt; a map is a Map.

import { compare, join, refute, utf8 } from "./bytes.js";

const DEPTH_MAX = 16;
const TAG_DECIMAL = 4;
const SIMPLE = new Map([[20, false], [21, true], [22, null]]);
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Decimal {
  constructor(exponent, mantissa) {
    this.exponent = exponent;
    this.mantissa = mantissa;
  }
}

export const isInt = (value) => Number.isSafeInteger(value) || typeof value === "bigint";
export const isUint = (value) => isInt(value) && value >= 0;
export const isBytes = (value) => value instanceof Uint8Array;
export const isText = (value) => typeof value === "string";
export const isList = Array.isArray;

export function decode(data) {
  const [value, end] = item(data, 0, 0);
  if (end !== data.length) refute("not canonical CBOR: bytes after the item");
  return value;
}

// The items of an array, each with its own bytes.
export function pieces(data) {
  const values = decode(data);
  if (!isList(values)) refute("not canonical CBOR: no array");
  const [, start] = argument(data, 0);
  const found = [];
  let at = start;
  for (const value of values) {
    const [, end] = item(data, at, 1);
    found.push({ value, bytes: data.subarray(at, end) });
    at = end;
  }
  return found;
}

function item(data, at, depth) {
  if (depth > DEPTH_MAX) refute("not canonical CBOR: nested too deep");
  if (at >= data.length) refute("not canonical CBOR: ends early");
  const major = data[at] >> 5;
  if (major === 7) {
    const low = data[at] & 31;
    if (!SIMPLE.has(low)) refute("not canonical CBOR: a simple value or float");
    return [SIMPLE.get(low), at + 1];
  }
  const [number, body] = argument(data, at);
  if (major === 0) return [number, body];
  if (major === 1) return [narrow(-1n - BigInt(number)), body];
  if (major === 2) return string(data, body, number);
  if (major === 3) return [decodeText(string(data, body, number)[0]), body + Number(number)];
  if (major === 4) return array(data, body, number, depth);
  if (major === 5) return map(data, body, number, depth);
  return decimal(data, body, number, depth);
}

const narrow = (big) => (Number.isSafeInteger(Number(big)) ? Number(big) : big);

function argument(data, at) {
  const low = data[at] & 31;
  if (low < 24) return [low, at + 1];
  if (low > 27) refute("not canonical CBOR: indefinite length");
  const width = 1 << (low - 24);
  const end = at + 1 + width;
  if (end > data.length) refute("not canonical CBOR: ends early");
  let number = 0n;
  for (let byte = at + 1; byte < end; byte += 1) number = (number << 8n) | BigInt(data[byte]);
  const least = width === 1 ? 24n : 1n << BigInt(4 * width);
  if (number < least) refute("not canonical CBOR: not the shortest form");
  return [narrow(number), end];
}

function string(data, at, length) {
  if (length > data.length - at) refute("not canonical CBOR: a string ends early");
  return [data.subarray(at, at + length), at + length];
}

function decodeText(raw) {
  try {
    return text.decode(raw);
  } catch {
    return refute("not canonical CBOR: a text is not UTF-8");
  }
}

function array(data, at, count, depth) {
  if (count > data.length - at) refute("not canonical CBOR: longer than the input");
  const items = [];
  for (let n = 0; n < count; n += 1) {
    const [value, end] = item(data, at, depth + 1);
    items.push(value);
    at = end;
  }
  return [items, at];
}

function map(data, at, count, depth) {
  if (count > data.length - at) refute("not canonical CBOR: longer than the input");
  const items = new Map();
  let last = new Uint8Array();
  for (let n = 0; n < count; n += 1) {
    const [key, keyEnd] = item(data, at, depth + 1);
    if (!isInt(key) && !isText(key) && !isBytes(key)) refute("not canonical CBOR: a map's key");
    const encoded = data.subarray(at, keyEnd);
    if (compare(encoded, last) <= 0) refute("not canonical CBOR: map keys out of order");
    last = encoded;
    const [value, end] = item(data, keyEnd, depth + 1);
    items.set(key, value);
    at = end;
  }
  return [items, at];
}

function decimal(data, at, tag, depth) {
  if (tag !== TAG_DECIMAL) refute(`not canonical CBOR: tag ${tag}`);
  const [value, end] = item(data, at, depth + 1);
  if (!isList(value) || value.length !== 2 || !value.every(isInt)) {
    refute("not canonical CBOR: tag 4 is not two integers");
  }
  return [new Decimal(...value), end];
}

// What has to be encoded anew: integers, bytes, texts, arrays of them.
export function encode(value) {
  if (isInt(value)) return value >= 0 ? lead(0, value) : lead(1, -1n - BigInt(value));
  if (isBytes(value)) return join(lead(2, value.length), value);
  if (isText(value)) return join(lead(3, utf8(value).length), utf8(value));
  return join(lead(4, value.length), ...value.map(encode));
}

function lead(major, number) {
  const n = BigInt(number);
  if (n < 24n) return Uint8Array.of((major << 5) | Number(n));
  let width = 1;
  while (n >> BigInt(8 * width)) width *= 2;
  const bytes = new Uint8Array(1 + width);
  bytes[0] = (major << 5) | (24 + Math.log2(width));
  for (let at = 0; at < width; at += 1) {
    bytes[width - at] = Number((n >> BigInt(8 * at)) & 255n);
  }
  return bytes;
}
