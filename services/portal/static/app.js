// The few things that HTML cannot do: the search key, dialogs, toasts, and a word when a request fails.
"use strict";

const dialog = document.getElementById("dialog");
const toasts = document.getElementById("toasts");

function say(text) {
  const toast = document.createElement("p");
  toast.className = "toast";
  toast.textContent = text;
  toasts.append(toast);
  setTimeout(() => toast.remove(), 7000);
}

for (const toast of toasts.children) setTimeout(() => toast.remove(), 7000);

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const find = document.getElementById("find");
    if (find) {
      event.preventDefault();
      find.focus();
      find.select();
    }
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]") && dialog.open) {
    event.preventDefault();
    dialog.close();
  } else if (event.target === dialog) {
    dialog.close();
  }
});

// a part is not replaced under somebody's hands: while its dialog is open or its form is being filled in
document.addEventListener("htmx:beforeRequest", (event) => {
  const from = event.detail.elt;
  if (!from.matches("[hx-trigger*='every']")) return;
  const cause = event.detail.requestConfig.triggeringEvent;
  const persons = cause?.type === "changed" ? cause.detail?.persons : null;
  const others = persons && from.dataset.person && !persons.includes(from.dataset.person);
  if (dialog.open || others || (cause?.type !== "changed" && from.contains(document.activeElement))) event.preventDefault();
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target === dialog && !dialog.open) dialog.showModal();
});

// what changes is told by the server; many changes at once are one look. Without the stream, parts look by the clock
if (document.body.dataset.live) {
  let told = null;
  let due = 0;
  const stream = new EventSource(document.body.dataset.live);
  stream.addEventListener("changed", (event) => {
    const persons = JSON.parse(event.data).persons;
    told = told === undefined || persons === null ? undefined : [...(told ?? []), ...persons];
    due ||= setTimeout(() => {
      htmx.trigger(document.body, "changed", told === undefined ? {} : { persons: told });
      told = null;
      due = 0;
    }, 700);
  });
  stream.addEventListener("ready", () => document.documentElement.toggleAttribute("data-following", true));
  stream.addEventListener("error", () => document.documentElement.removeAttribute("data-following"));
  addEventListener("pagehide", () => stream.close());
}

document.body.addEventListener("closed", () => dialog.close());
document.body.addEventListener("said", (event) => say(decodeURIComponent(event.detail.text)));
