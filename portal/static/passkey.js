// Passkeys: asks the server for options, the authenticator for an answer, the server for a verdict.
const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const failed = document.getElementById("passkey-failed");

async function post(path, body, csrf) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  if (csrf) headers["x-csrf"] = csrf;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

async function signIn(button) {
  const options = await post("/sign-in/options", {});
  const publicKey = { ...options.publicKey, challenge: toBytes(options.publicKey.challenge) };
  const found = await navigator.credentials.get({ publicKey });
  const { response } = found;
  const credential = {
    id: found.id, rawId: toText(found.rawId), type: found.type,
    response: {
      clientDataJSON: toText(response.clientDataJSON), authenticatorData: toText(response.authenticatorData),
      signature: toText(response.signature), userHandle: response.userHandle ? toText(response.userHandle) : null,
    },
  };
  await post("/sign-in/passkey", { ticket: options.ticket, credential });
  location.assign(button.dataset.next);
}

async function add(button) {
  const csrf = button.dataset.csrf;
  const options = await post("/account/passkey/options", {}, csrf);
  const given = options.publicKey;
  const publicKey = {
    ...given, challenge: toBytes(given.challenge), user: { ...given.user, id: toBytes(given.user.id) },
    excludeCredentials: (given.excludeCredentials ?? []).map((item) => ({ ...item, id: toBytes(item.id) })),
  };
  const made = await navigator.credentials.create({ publicKey });
  const credential = {
    id: made.id, rawId: toText(made.rawId), type: made.type,
    response: { clientDataJSON: toText(made.response.clientDataJSON), attestationObject: toText(made.response.attestationObject) },
  };
  await post("/account/passkey", { ticket: options.ticket, credential }, csrf);
  document.getElementById("passkey-added").hidden = false;
}

function listen(id, act) {
  const button = document.getElementById(id);
  button?.addEventListener("click", async () => {
    failed.hidden = true;
    try { await act(button); } catch { failed.hidden = false; }
  });
}
listen("passkey", signIn);
listen("add-passkey", add);
