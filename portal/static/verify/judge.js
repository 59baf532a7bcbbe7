// The verdict on a bundle: docs/formats/bundle.md, "Step by step". Nothing in a file makes it throw.

import { Missing, Refuted, compare, hex, miss, refute, same, sha256, utf8 } from "./bytes.js";
import { decode, encode, isBytes, isInt, isList, isText, pieces } from "./cbor.js";
import { checkChain, fields, isSized, orNull } from "./chain.js";
import { audienceOf, bodyBytes, checkPart, headOf, partOf } from "./feed.js";
import { publicKey } from "./keys.js";
import { leafHash } from "./merkle.js";

const BYTES_MAX = 256 << 20;
const SHA_256 = -16; // COSE's number
const ANCHOR = 4;
const MIRRORED = 5;
const CLOCK_STEP = 8;
const BOOT = 13;
const GAP = 7;
const NOTES = new Set([6, GAP, 12]);
const EARLIER_KEYS_MAX = 64;
const isNumber = orNull(isInt);
const isBool = (value) => typeof value === "boolean";
const RECORDS = new Map([
  [4, [isInt, isBytes, isInt, isInt, isInt, isBytes, isBytes, isBytes]],
  [5, [isInt, isBytes, isInt, isInt, isBytes, isBytes]],
  [6, [isInt, isBytes, isInt, isInt, isInt, isBytes, isBool, isBytes]],
]);

// {outcome: "proven" | "refuted" | "unchecked", findings: [{code, ...}], request, entries}.
// trusted: 32 bytes, the digest of the chain's genesis document, or null.
export async function verify(data, trusted) {
  let request = null;
  try {
    const laid = depositOf(data);
    if (laid) return { ...(await verify(laid.proof, trusted)), stamps: laid.stamps };
    const body = bodyOf(data);
    const asked = requestOf(body[0]);
    const parts = body[1].map(partOf);
    request = asked;
    const chain = await checkChain(body[2], trusted);
    return await judged(request, parts, chain);
  } catch (error) {
    if (error instanceof Missing) return without("unchecked", error, request);
    if (error instanceof Refuted || error instanceof RangeError || error instanceof TypeError) {
      return without("refuted", error, request);
    }
    throw error;
  }
}

// A deposit holds a proof and outside stamps over it: docs/formats/deposit.md. Null for any other file.
function depositOf(data) {
  const lead = utf8("wharf-deposit");
  if (data[0] !== 0x84 || data[1] !== 0x6d || !same(data.subarray(2, 15), lead)) return null;
  const [, version, proof, stamps] = fields(decode(data), "deposit", isText, isInt, isBytes, isList);
  if (version !== 1) refute("deposit: not version 1");
  return { proof, stamps: stamps.length };
}

function without(outcome, error, request) {
  return { outcome, findings: [{ code: outcome, reason: error.message }], request, entries: [] };
}

function bodyOf(data) {
  if (data.length > BYTES_MAX) refute("bundle: too large");
  const items = pieces(data);
  const [magic, version, hash, body, digest] = fields(
    items.map((item) => item.value), "bundle", isText, isInt, isInt, isList, isBytes,
  );
  if (magic !== "wharf-bundle" || version !== 1 || hash !== SHA_256) refute("not a proof bundle of version 1");
  fields(body, "bundle body", isList, isList, isBytes);
  if (!same(digest, sha256(utf8("wharf/bundle/1"), items[3].bytes))) {
    refute("the file's digest does not fit: it was damaged or edited");
  }
  if (!body[1].length || body[1].length > 64) refute(`bundle: ${body[1].length} feeds`);
  return body;
}

function requestOf(value) {
  const [device, channel, fromMs, toMs] = fields(value, "request", isText, orNull(isText), isInt, isInt);
  if (fromMs > toMs) refute("request: ends before it begins");
  return { device, channel, fromMs, toMs };
}

async function judged(request, parts, chain) {
  const used = new Set();
  const findings = [];
  const find = (code, values = {}) => findings.push({ code, ...values });
  function state(...name) {
    const key = hex(encode(name));
    if (!chain.states.has(key)) miss(`the chain's word on ${name[0]} is not in the bundle`);
    used.add(key);
    const stored = chain.states.get(key);
    return stored === null ? null : decode(stored);
  }
  const judge = { request, chain, state, find, names: new Map() };

  for (const { record, code } of chain.leaves) {
    const checks = RECORDS.get(record[0]);
    if (!checks) refute(`chain part: a record of kind ${record[0]} is not a bundle's`);
    fields(record, "chain part", ...checks);
    if (code) refute("chain part: a record that was not accepted");
  }
  const feeds = [];
  for (const part of parts) feeds.push(await checkFeed(judge, part));
  feeds.forEach((feed, at) => {
    if (at && compare(feeds[at - 1].head.feedId, feed.head.feedId) >= 0) refute("bundle: feeds do not ascend");
  });
  checkDevice(judge, feeds);
  for (const feed of feeds) describe(judge, feed);
  statements(judge, feeds);
  used.add(hex(encode(["validators"])));
  if ([...chain.states.keys()].some((key) => !used.has(key))) refute("chain part: states that nobody asked for");
  find("validators", { count: chain.validators, parties: chain.parties, chain: chain.chainId });
  if (chain.parties === 1) find("rests-on-one-party");
  if (!chain.isTrusted) find("issuer-unknown", { genesis: chain.genesisDigest, chain: chain.chainId });
  const isDisputed = findings.some((finding) => finding.code === "disputed");
  const outcome = chain.isTrusted && !isDisputed ? "proven" : "unchecked";
  return { outcome, findings, request, entries: feeds.flatMap(entriesOf) };
}

function entriesOf(feed) {
  const slots = [...feed.slots.values()].filter((shown) => shown.slot !== 0);
  return slots.sort((a, b) => a.slot - b.slot).flatMap((shown) => shown.entries);
}

// A layout that is not known here is no lie.
function layout(what, value, ...checks) {
  const isKnown = isList(value) && value.length === checks.length && checks.every((check, at) => check(value[at]));
  if (!isKnown || value[0] !== 1) miss(`a ${what} record of a layout that is not known here`);
  return value;
}

// One feed -----------------------------------------------------------------------------------

async function checkFeed(judge, shown) {
  const head = headOf(shown.headBytes);
  const part = { ...shown, head };
  const gateway = await gatewayOf(judge, head.feedId);
  const signedBy = gateway.keys.find((period) => same(period.key.id, head.keyId));
  if (!signedBy) refute("the head is signed by a key that is not the feed's");
  const proof = await checkPart(part, signedBy.key);
  if (!same(leafHash(proof.genesis), gateway.genesisHash)) refute("the feed's genesis is not the enrolled one");
  checkConflicts(judge, head);
  const { lower, upper } = brackets(judge, proof);
  const hasEnded = upper.timeMs < judge.request.toMs && isLast(judge, gateway, head);
  const toMs = hasEnded ? upper.timeMs : judge.request.toMs;
  if (upper.timeMs < toMs) miss("the last block was anchored before the interval ends");
  if (lower && lower.timeMs > judge.request.fromMs) miss("the block before the span was anchored after it begins");
  const isOver = gateway.endedMs !== null && gateway.endedMs <= upper.timeMs;
  if (isOver && (!gateway.isRetired || gateway.endedMs < upper.timeMs)) {
    refute("the head was anchored after its key was revoked or its gateway retired");
  }
  const isEarly = upper.timeMs < signedBy.fromMs;
  if (isEarly || (signedBy.toMs !== null && signedBy.toMs < upper.timeMs)) {
    refute("the head was anchored while its key was not the feed's");
  }
  describeKeys(judge, gateway, { lower, upper, hasEnded });
  const asked = part.slots.filter((slot) => slot !== 0);
  return { ...proof, part, gateway, signedBy, lower, upper, audiences: new Set(asked.map(audienceOf)) };
}

async function gatewayOf({ state }, feedId) {
  let value = state("gateway", feedId);
  if (value === null) refute(`feed ${hex(feedId).slice(0, 8)} is not enrolled on this chain`);
  let [isRetired, fromMs, earlier] = [false, null, []];
  const row = [isInt, isBytes, isInt, isBytes, isInt, isBytes, isInt, isNumber];
  if (value[0] === 2 && value.length === 11 && isBool(value[8]) && isInt(value[9]) && isList(value[10])) {
    [isRetired, fromMs, earlier] = value.slice(8);
    value = [1, ...value.slice(1, 8)];
  }
  const [, party, algorithm, spki, level, genesisHash, enrolledMs, endedMs] = layout("gateway", value, ...row);
  const isKnown = (key) => isList(key) && key.length === 5
    && [isInt, isBytes, isInt, isInt, isInt].every((check, at) => check(key[at]));
  if (earlier.length > EARLIER_KEYS_MAX || !earlier.every(isKnown)) miss("a gateway record of a layout that is not known here");
  const keys = [];
  for (const key of [...earlier, [algorithm, spki, level, fromMs ?? enrolledMs, null]]) {
    if (key[2] < 0 || key[2] > 2) miss(`a gateway key of level ${key[2]}`);
    keys.push({ key: await publicKey(key[0], key[1]), level: key[2], fromMs: key[3], toMs: key[4] });
  }
  return { party, keys, genesisHash, endedMs, isRetired };
}

function checkConflicts({ state, find }, { feedId, epoch }) {
  const frozen = state("frozen", feedId);
  if (frozen !== null) {
    const row = layout("conflict", frozen, isInt, isBytes, isInt, isBytes, isBytes, isInt, isInt);
    if (epoch <= row[5]) miss(`feed ${hex(feedId).slice(0, 8)}: a conflict is on the chain`);
  }
  if (!epoch) return;
  const opened = state("epoch", feedId, epoch);
  if (opened === null) refute("the feed's epoch was never opened");
  const [, , , size, witnessed] = layout("epoch", opened, isInt, isBytes, isInt, isInt, isInt, isInt);
  if (witnessed < size) refute("epoch record: fewer entries were witnessed than it goes on from");
  find("missing", { feed: hex(feedId), entries: witnessed - size });
}

function brackets({ chain }, { head, base }) {
  let [lower, upper] = [null, null];
  const isOf = (record) => record[0] === ANCHOR && same(record[1], head.feedId) && record[2] === head.epoch;
  for (const leaf of chain.leaves.filter(({ record }) => isOf(record))) {
    const [, , , height, size, root, blockRoot, digest] = leaf.record;
    const isHead = height === head.height && size === head.size && same(root, head.root);
    const isBase = base && height === base.height && size === base.size && same(root, base.root);
    if (isHead && same(blockRoot, head.blockRoot) && same(digest, head.digest)) upper = leaf;
    else if (isBase) lower = leaf;
    else refute("chain part: an anchor that is no bracket of the span");
  }
  if (!upper) miss("the head is not anchored");
  if (base && !lower) miss("the block before the span is not anchored");
  return { lower, upper };
}

function isLast({ state }, gateway, head) {
  if (gateway.endedMs === null) return false;
  const value = state("feed", head.feedId, head.epoch);
  if (value === null) return false;
  return same(layout("feed", value, isInt, isInt, isInt, isBytes, isBytes, isBytes, isInt)[5], head.digest);
}

function describeKeys({ find }, gateway, { lower, upper, hasEnded }) {
  const { endedMs, isRetired, keys } = gateway;
  if (hasEnded) find("feed-ended", { atMs: endedMs, lastMs: upper.timeMs, isRetired });
  if (endedMs !== null && !isRetired) find("revoked-later", { atMs: endedMs });
  keys.slice(1).forEach((next, at) => {
    if (next.fromMs < (lower?.timeMs ?? 0) || next.fromMs > upper.timeMs) return;
    find("key-changed", { atMs: next.fromMs, before: hex(keys[at].key.id), after: hex(next.key.id) });
  });
}

// The device ---------------------------------------------------------------------------------

function checkDevice({ request, state, find }, feeds) {
  const value = state("device", request.device);
  if (value === null) miss(`device ${request.device} is not recorded on the chain`);
  const [, rows] = layout("device", value, isInt, isList);
  const byFeed = new Map(feeds.map((feed) => [hex(feed.head.feedId), feed]));
  const wanted = new Map([...byFeed.keys()].map((id) => [id, new Set([0])]));
  for (const row of rows) {
    const isKnown = isList(row) && row.length === 5
      && [isBytes, isInt, isBytes, isInt, isNumber].every((check, at) => check(row[at]));
    if (!isKnown) miss("a device record of a layout that is not known here");
  }
  for (const [feedId, slot, descriptorHash, , toMs] of rows) {
    if (toMs !== null && toMs < request.fromMs) continue;
    const feed = byFeed.get(hex(feedId));
    if (!feed) miss(`the device also stands in feed ${hex(feedId).slice(0, 8)}, not shown`);
    wanted.get(hex(feedId)).add(slot);
    if (!feed.part.slots.includes(slot)) miss(`whether slot ${slot} stands in the span is not shown`);
    const shown = feed.slots.get(slot);
    if (!shown) {
      find("absent", { slot });
      continue;
    }
    const { body } = shown.descriptor;
    if (!isList(body) || body.length < 3 || body[1] !== request.device) refute(`slot ${slot} describes another device`);
    const first = shown.entries[0];
    if (first && first.srcseq === 0 && !same(sha256(bodyBytes(first)), descriptorHash)) {
      refute(`slot ${slot}: the descriptor is not the recorded one`);
    }
  }
  for (const [id, feed] of byFeed) {
    const slots = wanted.get(id);
    if (!feed.part.slots.every((slot) => slots.has(slot))) refute("feed part: a slot that is not the device's");
    if (slots.size === 1) refute("bundle: a feed in which the device does not stand");
  }
}

// What a reader has to know ------------------------------------------------------------------

function partyName({ state, names }, party) {
  const id = hex(party);
  if (!names.has(id)) {
    const value = state("party", party);
    const row = value && layout("party", value, isInt, isText, isInt, isBytes, isInt, isInt);
    names.set(id, row ? row[1] : id.slice(0, 8));
  }
  return names.get(id);
}

function describe(judge, feed) {
  const { find } = judge;
  const { head, gateway, signedBy, lower, upper } = feed;
  if (!lower) find("from-beginning", { feed: hex(head.feedId) });
  const party = partyName(judge, gateway.party);
  find("anchored", { fromMs: lower?.timeMs ?? null, toMs: upper.timeMs, gateway: head.gateway, party });
  find("key", { key: hex(head.keyId), level: signedBy.level });
  if (signedBy.level === 0) find("development-key", { gateway: head.gateway });
  const slots = [...feed.slots.values()].sort((a, b) => a.slot - b.slot);
  for (const shown of slots) {
    if (shown.slot === 0) describeControl(judge, shown, feed);
    else describeSlot(judge, shown, feed);
  }
}

// Elements of a body where they are numbers: a gateway may write any.
function numbers(body, first, end) {
  const found = isList(body) ? body.slice(first, end).map((item) => (isInt(item) ? Number(item) : null)) : [];
  return [...found, ...Array(end - first - found.length).fill(null)];
}

function describeControl({ find, request }, shown, feed) {
  const { gateway } = feed.head;
  const { stats } = shown.last;
  if (isList(stats) && stats.length === 1 && isBytes(stats[0])) find("configuration", { gateway, digest: hex(stats[0]) });
  for (const { kind, body, wallUs } of shown.entries) {
    if (kind === BOOT && isList(body) && isText(body[1])) find("started", { gateway, atUs: wallUs, software: body[1] });
    if (kind !== CLOCK_STEP) continue;
    const [beforeUs, afterUs] = numbers(body, 1, 3);
    find("clock-step", { beforeUs, afterUs });
  }
  const untilUs = shown.last.wallUs;
  const askedUs = Math.min(Number(request.toMs), feed.upper.timeMs) * 1000;
  if (untilUs !== null && untilUs < askedUs && feed.gateway.endedMs === null) {
    find("behind", { gateway, untilMs: Math.floor(Number(untilUs) / 1000) });
  }
}

function describeSlot({ find, request }, shown, feed) {
  const { body } = shown.descriptor;
  const channel = String(body[2]);
  const readings = shown.entries.filter((entry) => !NOTES.has(entry.kind));
  const isInside = ({ wallUs }) => wallUs === null
    || (wallUs >= request.fromMs * 1000 && wallUs <= request.toMs * 1000 + 999);
  const inside = readings.filter(isInside).length;
  const [countedBy, calibration] = [String(body[5] ?? "gateway"), body[8] ?? null];
  find("complete", { slot: shown.slot, channel, readings: readings.length, inside, countedBy, calibration });
  for (const entry of shown.entries.filter((item) => item.kind === GAP)) {
    const [reason, fromUs, toUs] = numbers(entry.body, 1, 4);
    find("gap", { channel, reason, fromUs, toUs });
  }
  describeClock(find, readings, feed, channel);
  if (shown.last.isRetired) find("retired", { channel });
}

function describeClock(find, readings, { lower, upper }, channel) {
  const timed = readings.filter((entry) => entry.wallUs !== null);
  if (timed.length < readings.length) find("no-clock", { channel, readings: readings.length - timed.length });
  if (!timed.length) return;
  let [worst, uncUs, late] = [4, 0, 0];
  const [lowUs, highUs] = [(lower?.timeMs ?? 0) * 1000, upper.timeMs * 1000];
  for (const entry of timed) {
    worst = Math.min(worst, entry.quality);
    uncUs = Math.max(uncUs, Number(entry.uncUs));
    const [wallUs, bound] = [Number(entry.wallUs), Number(entry.uncUs)];
    late += wallUs + bound < lowUs || wallUs - bound > highUs;
  }
  find("clock-quality", { channel, worst, uncUs });
  if (late) find("late", { channel, readings: late });
}

function statements(judge, feeds) {
  const { chain, find } = judge;
  const nameOf = (feedId, epoch) => `${hex(feedId)}/${epoch}`;
  const byFeed = new Map(feeds.map((feed) => [nameOf(feed.head.feedId, feed.head.epoch), feed]));
  const opened = new Map();
  const mirrored = new Map();
  for (const { record } of chain.leaves) {
    const feed = byFeed.get(nameOf(record[1], record[2]));
    if (!feed) refute("chain part: a record of a feed that is not shown");
    if (record[0] === ANCHOR) continue;
    const height = record[3];
    const [digest, party] = record[0] === MIRRORED ? record.slice(4) : [record[5], record[7]];
    const header = feed.headers[height - (feed.headers[0]?.height ?? 0)];
    if (!header || header.height !== height) refute("chain part: a statement about a block outside the span");
    if (!same(digest, header.digest)) refute("a statement is about another block of the same height");
    if (record[0] === MIRRORED) {
      mirrored.set(hex(party), party);
    } else if (!record[6]) {
      find("disputed", { party: partyName(judge, party), height });
    } else if (!same(party, feed.gateway.party) && feed.audiences.has(record[4])) {
      const of = opened.get(hex(party)) ?? { party, blocks: new Set() };
      opened.set(hex(party), of);
      of.blocks.add(`${hex(record[1])}/${height}`);
    }
  }
  const blocks = feeds.flatMap((feed) => feed.headers.map((header) => `${hex(feed.head.feedId)}/${header.height}`));
  const sorted = (found) => [...found.keys()].sort().map((id) => found.get(id));
  for (const { party, blocks: seen } of sorted(opened)) {
    find("opened", { party: partyName(judge, party), blocks: seen.size, of: blocks.length });
  }
  const known = new Set([...opened.values()].flatMap((item) => [...item.blocks]));
  const unopened = blocks.filter((block) => !known.has(block)).length;
  if (unopened) find("not-opened", { blocks: unopened, of: blocks.length });
  for (const party of sorted(mirrored)) find("mirrored", { party: partyName(judge, party) });
}
