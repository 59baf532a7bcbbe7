// Watches for changes: a page that holds a [data-fresh] part asks for that part anew.
const pill = document.getElementById("live");
const parts = [...document.querySelectorAll("[data-fresh]")];
let asking = false, again = false;

function say(state) {
  pill.hidden = false;
  pill.className = `pill ${state}`;
  pill.textContent = pill.dataset[state];
}

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  do {
    again = false;
    for (const part of parts) {
      const answer = await fetch(part.dataset.fresh, { headers: { accept: "text/html" } }).catch(() => null);
      if (answer?.ok && !part.contains(document.activeElement)) part.innerHTML = await answer.text();
    }
    document.dispatchEvent(new CustomEvent("wharf:change"));
  } while (again);
  asking = false;
}

const stream = new EventSource("/events");
let first = true;
stream.addEventListener("open", () => say("live"));
stream.addEventListener("error", () => say("lost"));
stream.addEventListener("change", () => { if (!first) refresh(); first = false; });
