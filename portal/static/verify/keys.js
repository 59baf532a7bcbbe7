// Public keys and signatures by the browser's own cryptography: ES256 with a low S, and Ed25519.

import { compare, isZero, miss, refute, same, sha256, unhex } from "./bytes.js";

const ES256 = -7;
const EDDSA = -8;
const SPKI = new Map([
  [ES256, unhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")],
  [EDDSA, unhex("302a300506032b6570032100")],
]);
const POINT_BYTES = new Map([[ES256, 64], [EDDSA, 32]]);
const WEB = new Map([
  [ES256, { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }],
  [EDDSA, { name: "Ed25519" }],
]);
const HALF_ORDER = unhex("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8");
// Under a point of small order one signature holds for every message.
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map(unhex);

export const keyId = (spki) => sha256(spki).subarray(0, 16);

// The key in this document, or a refusal: one form for each of two algorithms, nothing else.
export async function publicKey(algorithm, spki) {
  const lead = SPKI.get(algorithm);
  if (!lead) refute(`public key: no algorithm ${algorithm} is known`);
  const isFit = spki.length === lead.length + POINT_BYTES.get(algorithm);
  if (!isFit || !same(spki.subarray(0, lead.length), lead)) refute("public key: not the one form");
  const point = Uint8Array.from(spki.subarray(-32));
  if (algorithm === EDDSA) {
    point[31] &= 0x7f;
    if (SMALL_ORDER.some((small) => same(small, point))) refute("public key: of small order");
  }
  return { algorithm, id: keyId(spki), web: await imported("spki", spki, algorithm) };
}

async function imported(format, bytes, algorithm) {
  if (!globalThis.crypto?.subtle) miss("this page was not opened in a way that lets the browser check signatures");
  try {
    return await crypto.subtle.importKey(format, bytes, WEB.get(algorithm), false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") miss("this browser cannot check Ed25519 signatures; a newer one can");
    return refute("public key: no point of its curve");
  }
}

export async function checkSignature(key, signed, signature) {
  if (signature.length !== 64) refute("a signature is not 64 bytes");
  if (key.algorithm === ES256) {
    const s = signature.subarray(32);
    if (compare(s, HALF_ORDER) > 0) refute("an ES256 signature has a high S");
    if (isZero(s) || isZero(signature.subarray(0, 32))) refute("a signature does not verify");
  }
  const holds = await crypto.subtle.verify(WEB.get(key.algorithm), key.web, signature, signed);
  if (!holds) refute("a signature does not verify");
}

export async function checkVote(key, signed, signature) {
  const web = await imported("raw", key, EDDSA);
  if (!(await crypto.subtle.verify(WEB.get(EDDSA), web, signature, signed))) {
    refute("a validator's vote does not verify");
  }
}
