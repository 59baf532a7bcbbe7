// One feed part under its head: docs/formats/bundle.md, steps 6 to 14; head.md, block.md, entry.md.

import { isZero, refute, same, sha256, utf8 } from "./bytes.js";
import { decode, encode, isBytes, isInt, isList, isText, isUint, pieces } from "./cbor.js";
import { fields, isHash, isSized, orNull } from "./chain.js";
import { checkSignature } from "./keys.js";
import { leafHash, rootFromRanges } from "./merkle.js";

const SLOTS_MAX = 1024;
const BLOCK_LEAVES_MAX = 65_536;
const AUDIENCES_MAX = 64;
const ENTRY_BYTES_MAX = 65_535;
const UINT32 = 2 ** 32;
const GENESIS = 0;
const DESCRIPTOR = 6;
const SUMMARY = 12;
const RETIREMENT = 14;
const HEAD_LABELS = [1, 4, 15, 16, 395, -70211];
const TYPE = "application/wharf-head+cose";

export const audienceOf = (slot) => Math.floor(slot / 65_536);
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

// Heads --------------------------------------------------------------------------------------

export function headOf(data) {
  if (data[0] !== 0xd2) refute("head: tag 18 is missing");
  const [protectedBytes, unprotected, root, signature] = fields(
    decode(data.subarray(1)), "head", isBytes, (value) => value instanceof Map, isHash, isBytes,
  );
  const labels = decode(protectedBytes);
  const isOurs = labels instanceof Map && labels.size === HEAD_LABELS.length
    && HEAD_LABELS.every((label) => labels.has(label));
  if (unprotected.size || !isOurs || labels.get(16) !== TYPE || labels.get(395) !== 1) {
    refute("head: labels, type or data structure are not a head's");
  }
  const [algorithm, keyId, claims] = [labels.get(1), labels.get(4), labels.get(15)];
  const bound = fields(
    labels.get(-70211), "head", isInt, isSized(16), isCount, isCount, isCount, orNull(isUint), isHash, isHash,
  );
  if (!isInt(algorithm) || !isBytes(keyId) || !(claims instanceof Map)) refute("head: wrong types");
  const extra = claims.has(6) ? 3 : 2;
  if (!isText(claims.get(1)) || !isText(claims.get(2)) || claims.size !== extra) refute("head: claims");
  if (extra === 3 && !isUint(claims.get(6))) refute("head: a date out of range");
  const [version, feedId, epoch, height, size, , blockRoot] = bound;
  if (version !== 1 || epoch >= UINT32 || size < 2 || height >= size) refute("head: out of range");
  const signed = encode(["Signature1", protectedBytes, new Uint8Array(), root]);
  return {
    algorithm, keyId, feedId, epoch, height, size, blockRoot, root, signature, signed,
    gateway: claims.get(2), digest: sha256(signed),
  };
}

// Blocks -------------------------------------------------------------------------------------

function headerOf(data) {
  if (!isBytes(data)) refute("header: not a byte string");
  const value = fields(
    decode(data), "block header", isInt, isSized(16), isCount, isCount, isCount, isCount, isHash, isUint, isHash, isList,
  );
  const [version, feedId, epoch, height, start, size, root, jseqEnd, previous, rows] = value;
  if (version !== 1) refute(`block header: version ${version} is not known`);
  if (!rows.length || rows.length > AUDIENCES_MAX) refute(`block header: ${rows.length} runs`);
  let last = -1;
  for (const row of rows) {
    const [audience] = fields(row, "block header run", isCount, isHash);
    if (audience <= last || (last < 0 && audience) || audience > 65_535) refute("block header: audiences");
    last = audience;
  }
  const count = size - start;
  if (count < rows.length || count > BLOCK_LEAVES_MAX || epoch >= UINT32) refute("block header: out of range");
  return { feedId, epoch, height, start, size, root, jseqEnd, previous, runs: new Map(rows), digest: leafHash(data) };
}

function runHeadOf(data) {
  const [keyEpoch, first, count, slots] = fields(
    decode(data), "run head", isCount, isCount, isCount, isList, isHash,
  );
  const isAscending = slots.every((slot, at) => isCount(slot) && slot < UINT32 && (!at || slots[at - 1] < slot));
  if (!slots.length || !isAscending || count < slots.length) refute("run head: slots");
  if (new Set(slots.map(audienceOf)).size !== 1 || keyEpoch >= UINT32) refute("run head: out of range");
  return { first, count, slots, summaries: first + count - slots.length, digest: sha256(utf8("wharf/rh/1"), data) };
}

export function entryOf(data) {
  if (data.length > ENTRY_BYTES_MAX) refute("entry: too large");
  const [kind, slot, time, srcseq, body] = fields(
    decode(data), "entry", isUint, isUint, isList, isUint, () => true,
  );
  const isWall = orNull(isInt);
  const [boot, monoUs, wallUs, quality, uncUs] = fields(time, "gtime", isUint, isUint, isWall, isUint, isUint);
  if (slot >= UINT32 || quality > 4 || (wallUs === null && quality)) refute("entry: out of range");
  return { kind, slot, boot, monoUs, wallUs, quality, uncUs, srcseq, body, data };
}

export const bodyBytes = (entry) => pieces(entry.data)[4].bytes;

// The part -----------------------------------------------------------------------------------

export function partOf(value) {
  const [head, headers, runHeads, slots, leaves] = fields(
    value, "feed part", isBytes, isList, isList, isList, isList,
  );
  const [firstHeight, encoded, headerPath] = fields(headers, "header proof", isInt, isList, isList);
  const [ranges, leafBytes, leafPath] = fields(leaves, "leaf proof", isList, isList, isList);
  if (!encoded.length || firstHeight < 0 || !slots.length || slots.length > SLOTS_MAX) {
    refute("feed part: no headers, no slots, or a number out of range");
  }
  const isAscending = slots.every((slot, at) => isInt(slot) && (!at || slots[at - 1] < slot));
  if (!isAscending) refute("feed part: slots do not ascend");
  const runs = runHeads.map((item) => {
    const [height, audience, data] = fields(item, "run head", isInt, isInt, isBytes);
    return { height, audience, ...runHeadOf(data) };
  });
  ranges.forEach((range) => fields(range, "range", isCount, isCount));
  if (![headerPath, leafPath].every((path) => path.every(isHash))) refute("path: not of hashes");
  if (!leafBytes.every(isBytes)) refute("leaf: not a byte string");
  return {
    headBytes: head, firstHeight, headers: encoded.map(headerOf), headerPath, runs, slots, ranges,
    leaves: leafBytes, leafPath,
  };
}

// Steps 6 to 14: what the part proves, slot by slot.
export async function checkPart(part, key) {
  const { head } = part;
  if (head.algorithm !== key.algorithm || !same(head.keyId, key.id)) refute("head: signed by another key");
  await checkSignature(key, head.signed, head.signature);
  checkHeaders(part);
  const runs = checkRuns(part);
  const leaves = shownLeaves(part);
  const slots = new Map();
  for (const slot of part.slots) {
    const shown = checkSlot(part, slot, runs, leaves);
    if (shown) slots.set(slot, shown);
  }
  if (!slots.has(0)) refute("the feed's public control slot is missing");
  const genesis = leaves.raw(0);
  checkGenesis(genesis, head);
  if (leaves.used.size !== part.leaves.length) refute("leaf proof: leaves that nobody asked for");
  const audiences = new Set(part.slots.map(audienceOf));
  if (part.runs.some((run) => !audiences.has(run.audience))) refute("run head: nobody asked for it");
  const base = part.firstHeight ? part.headers[0] : null;
  return { head, base, headers: base ? part.headers.slice(1) : part.headers, genesis, slots };
}

function checkHeaders({ head, headers, firstHeight, headerPath }) {
  if (firstHeight + headers.length !== head.height + 1) refute("headers do not reach the signed height");
  headers.forEach((header, at) => {
    const isNamed = same(header.feedId, head.feedId) && header.epoch === head.epoch;
    if (!isNamed || header.height !== firstHeight + at) refute("a header of another feed, epoch or height");
    const before = headers[at - 1];
    if (before) {
      const isLinked = header.start === before.size && same(header.previous, before.digest);
      if (!isLinked || header.jseqEnd < before.jseqEnd) refute("a header does not link to the one before");
    } else if (firstHeight === 0 && (header.start || !isZero(header.previous))) {
      refute("the first block does not begin the feed");
    }
  });
  const root = rootFromRanges(
    head.height + 1, [[firstHeight, headers.length]], headers.map((header) => header.digest), headerPath,
  );
  if (!same(root, head.blockRoot)) refute("headers are not under the signed header root");
  const last = headers.at(-1);
  if (last.size !== head.size || !same(last.root, head.root)) refute("the last header and the head name other trees");
}

function checkRuns({ headers, firstHeight, runs }) {
  const found = new Map();
  let before = null;
  for (const run of runs) {
    const header = headers[run.height - firstHeight];
    if (!header) refute("run head: outside the span");
    const isAfter = !before || before.height < run.height
      || (before.height === run.height && before.audience < run.audience);
    if (!isAfter) refute("run head: not in ascending order, or twice");
    before = run;
    const digest = header.runs.get(run.audience);
    if (!digest || !same(digest, run.digest)) refute("a run head is not the header's");
    if (run.first < header.start || run.first + run.count > header.size) refute("a run lies outside its block");
    if (audienceOf(run.slots[0]) !== run.audience) refute("a run has another audience's slots");
    found.set(`${run.height}/${run.audience}`, run);
  }
  return found;
}

function shownLeaves({ head, ranges, leaves, leafPath }) {
  const root = rootFromRanges(head.size, ranges, leaves.map(leafHash), leafPath);
  if (!same(root, head.root)) refute("leaves are not under the signed root");
  const at = new Map();
  let next = 0;
  for (const [first, count] of ranges) {
    for (let index = first; index < first + count; index += 1) at.set(index, leaves[next++]);
  }
  const used = new Set();
  function raw(index) {
    if (!at.has(index)) refute(`leaf ${index} is missing`);
    used.add(index);
    return at.get(index);
  }
  return { used, raw, entry: (index) => entryOf(raw(index).subarray(16)) };
}

function checkSlot(part, slot, runs, leaves) {
  const audience = audienceOf(slot);
  const entries = [];
  let previous = null;
  for (const header of part.headers) {
    const run = runs.get(`${header.height}/${audience}`);
    if (!run && header.runs.has(audience)) refute(`height ${header.height}: a run is not shown`);
    const place = run ? run.slots.indexOf(slot) : -1;
    if (place < 0) {
      if (previous && !previous.isRetired) refute(`height ${header.height}: slot ${slot} is missing`);
      continue;
    }
    const summary = summaryOf(leaves.entry(run.summaries + place), header, slot);
    const end = summary.first + summary.count;
    if (summary.first < run.first || end > run.summaries) refute("a summary's part lies outside the run");
    if (header.height > part.firstHeight || part.firstHeight === 0) {
      const found = [];
      for (let index = summary.first; index < end; index += 1) {
        found.push({ index, height: header.height, ...leaves.entry(index) });
      }
      checkSlotPart(found, summary, previous);
      entries.push(...found);
    }
    previous = summary;
  }
  if (!previous) return null;
  const descriptor = leaves.entry(previous.descriptor);
  if (descriptor.slot !== slot || !opensSlot(descriptor)) refute(`slot ${slot}: no descriptor of its own`);
  return { slot, entries, descriptor, last: previous };
}

function summaryOf(entry, header, slot) {
  const { body } = entry;
  if (entry.kind !== SUMMARY || !isList(body) || body.length !== 6) refute("summary: no entry of its kind");
  if (!body.slice(0, 5).every(isCount) || body[4] > 1) refute("summary: a number is out of range");
  if (entry.slot !== slot || body[0] !== header.height) refute("a summary of another slot or height");
  const [height, first, count, descriptor, flags, stats] = body;
  return { height, stats, first, count, descriptor, isRetired: flags === 1, total: entry.srcseq, wallUs: entry.wallUs, slot };
}

const opensSlot = (entry) => entry.kind === DESCRIPTOR || (entry.kind === GENESIS && entry.slot === 0);

function checkSlotPart(entries, summary, previous) {
  const where = `height ${summary.height}, slot ${summary.slot}`;
  if (!previous && !(entries.length && opensSlot(entries[0]))) refute(`${where}: begins without a descriptor`);
  if (previous?.isRetired) refute(`${where}: goes on after its retirement`);
  if (summary.total !== (previous?.total ?? 0) + summary.count) refute(`${where}: counts another total`);
  let descriptor = previous ? previous.descriptor : -1;
  entries.forEach((entry, at) => {
    if (entry.slot !== summary.slot || entry.kind === SUMMARY) refute(`${where}: a foreign entry inside`);
    if (entry.srcseq !== summary.total - summary.count + at) refute(`${where}: a number is left out`);
    const before = entries[at - 1];
    const isBack = before && (entry.boot < before.boot || (entry.boot === before.boot && entry.monoUs < before.monoUs));
    if (isBack) refute(`${where}: time inside the gateway runs backwards`);
    if (entry.kind === RETIREMENT && at + 1 < entries.length) refute(`${where}: goes on after its retirement`);
    if (opensSlot(entry)) descriptor = summary.first + at;
  });
  const ends = entries.at(-1)?.kind === RETIREMENT;
  if (ends !== summary.isRetired) refute(`${where}: a retirement is not flagged`);
  if (summary.descriptor !== descriptor) refute(`${where}: the summary names another descriptor`);
}

function checkGenesis(leaf, head) {
  const entry = entryOf(leaf.subarray(16));
  const isGenesis = entry.kind === GENESIS && entry.slot === 0 && entry.srcseq === 0;
  if (!isGenesis || leaf.length < 16 || !isZero(leaf.subarray(0, 16))) refute("leaf 0 is no genesis");
  const id = sha256(utf8("wharf/feed/1"), leaf.subarray(16)).subarray(0, 16);
  if (!same(id, head.feedId)) refute("leaf 0 is not this feed's genesis");
}
