// Trees of RFC 9162: leaf 0x00, node 0x01. Range proofs as docs/formats/bundle.md says.

import { isBytes } from "./cbor.js";
import { refute, same, sha256 } from "./bytes.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const leafHash = (leaf) => sha256(LEAF, leaf);
export const nodeHash = (left, right) => sha256(NODE, left, right);

function split(count) {
  let k = 1;
  while (k * 2 < count) k *= 2;
  return k;
}

export function treeRoot(hashes, first = 0, end = hashes.length) {
  if (end === first) return sha256();
  if (end - first === 1) return hashes[first];
  const middle = first + split(end - first);
  return nodeHash(treeRoot(hashes, first, middle), treeRoot(hashes, middle, end));
}

export function rootFromRanges(size, ranges, leaves, path) {
  checkRanges(size, ranges, leaves.length);
  let range = 0;
  let leaf = 0;
  let step = 0;
  const end = (at) => ranges[at][0] + ranges[at][1];
  function root(a, b) {
    while (range < ranges.length && end(range) <= a) range += 1;
    if (range === ranges.length || ranges[range][0] >= b) {
      if (step === path.length) refute("a hash is missing in a range proof");
      step += 1;
      return path[step - 1];
    }
    if (b - a === 1) {
      leaf += 1;
      return leaves[leaf - 1];
    }
    const middle = a + split(b - a);
    return nodeHash(root(a, middle), root(middle, b));
  }
  const found = root(0, size);
  if (step !== path.length) refute("hashes left over in a range proof");
  return found;
}

function checkRanges(size, ranges, leaves) {
  let count = 0;
  let free = -1; // a range that touches the one before is another form of one range
  for (const [first, length] of ranges) {
    if (first <= free || length < 1) refute("ranges touch, overlap, fall or are empty");
    free = first + length;
    count += length;
  }
  if (!ranges.length || free > size) refute("a range is outside the tree");
  if (count !== leaves) refute("leaves do not match their ranges");
}

export function checkInclusion(hash, index, size, path, root) {
  if (!path.every((part) => isBytes(part) && part.length === 32)) refute("a path is not of hashes");
  if (index < 0 || index >= size) refute(`leaf ${index} is not in a tree of ${size}`);
  let step = 0;
  function climb(at, a, b) {
    if (b - a === 1) return hash;
    const middle = a + split(b - a);
    const inLeft = at < middle;
    const below = inLeft ? climb(at, a, middle) : climb(at, middle, b);
    if (step === path.length) refute("a path is too short");
    step += 1;
    const sibling = path[step - 1];
    return inLeft ? nodeHash(below, sibling) : nodeHash(sibling, below);
  }
  const found = climb(index, 0, size);
  if (step !== path.length) refute("a path is too long");
  if (!same(found, root)) refute(`leaf ${index} is not under the root of size ${size}`);
}
