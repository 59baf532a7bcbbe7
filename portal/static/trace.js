// The check on a consumer's page: this browser computes, nothing is believed of the server.

import { hex, join, sha256, unhex, utf8 } from "./verify/bytes.js";
import { decode, encode } from "./verify/cbor.js";
import { checkChain } from "./verify/chain.js";

const KEPT = "wharf-genesis";
const box = document.getElementById("check");
const button = document.getElementById("check-now");
const answer = document.getElementById("check-answer");

// What the chain must hold for this event: docs/formats/trace.md, "Commitment to an event".
function commitmentOf({ salt, hash, text }) {
  const body = encode([unhex(salt), unhex(hash), sha256(utf8(text))]);
  return sha256(join(utf8("wharf/event/1"), body));
}

function stateKey(event) {
  return hex(encode(["event", commitmentOf(event), unhex(event.organisation)]));
}

// trust: the genesis digest that this browser keeps, 64 digits; none at the first visit.
export async function check(proof, trust) {
  const chain = await checkChain(unhex(proof.chain), trust ? unhex(trust) : null);
  const found = proof.events.filter((event) => {
    const stored = chain.states.get(stateKey(event));
    return Boolean(stored) && decode(stored).length === 2;
  });
  return {
    all: proof.events.length,
    count: found.length,
    chain: chain.chainId,
    parties: chain.parties,
    digest: chain.genesisDigest,
  };
}

function words(name, values) {
  let text = answer.dataset[name];
  for (const [key, value] of Object.entries(values)) text = text.replace(`{${key}}`, value);
  return text;
}

async function judged() {
  const reply = await fetch(box.dataset.proof, { headers: { accept: "application/json" } });
  if (!reply.ok) return words("away", {});
  const kept = localStorage.getItem(KEPT);
  const found = await check(await reply.json(), kept);
  localStorage.setItem(KEPT, found.digest);
  const mark = { digest: found.digest.slice(0, 16) };
  const first = words(found.count === found.all ? "good" : "some", found);
  return `${first} ${words(kept ? "pinned" : "new", mark)}`;
}

async function run() {
  button.disabled = true;
  answer.textContent = words("checking", {});
  try {
    answer.textContent = await judged();
  } catch (error) {
    answer.textContent = words("bad", { reason: error.message });
  } finally {
    button.disabled = false;
  }
}

if (button) {
  button.hidden = false;
  button.addEventListener("click", run);
}
