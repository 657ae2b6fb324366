// The few things that HTML cannot do: parts that look again, the search key, dialogs, and a word when a request fails.
"use strict";

const dialog = document.getElementById("dialog");
const toasts = document.getElementById("toasts");
const live = document.getElementById("live");

function say(text) {
  const toast = document.createElement("p");
  toast.className = "toast";
  toast.textContent = text;
  toasts.append(toast);
  setTimeout(() => toast.remove(), 7000);
}

for (const toast of toasts.children) setTimeout(() => toast.remove(), 7000);

document.addEventListener("keydown", (event) => {
  // a modifier: a single letter would fire when somebody speaks to the browser (WCAG 2.1.4)
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
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
  } else if (event.target.closest("[data-dismiss]")) {
    document.getElementById("following").replaceChildren();
  }
});

// --- parts that look again: by the clock, when something changes, and at once after the reader's own command
const HELD_BACK = 30000;
const EAGER = 20000;
const due = new Map();
let eagerUntil = 0;
let paused = false;
let following = false;
let failedSince = null;

const parts = () => document.querySelectorAll("[data-part]");
const every = (part) => Number(part.dataset.every || 0) * 1000 * (0.9 + Math.random() * 0.3);

function sooner(part, at) {
  const known = due.get(part.id);
  if (!known || at < known.at) due.set(part.id, { at, since: known?.since ?? null });
}

function changed(persons) {
  const now = Date.now();
  for (const part of parts()) {
    const about = part.dataset.person;
    // of a person's page only that person's changes are news
    if (about && persons && !persons.includes(about)) continue;
    // all who have the list open would ask in the same moment
    const wait = now < eagerUntil ? 300 : about ? 500 + Math.random() * 1000 : 3000 + Math.random() * 4000;
    sooner(part, now + wait);
  }
}

function tick() {
  if (paused || document.hidden || dialog.open) return;
  const now = Date.now();
  for (const part of parts()) {
    if (!due.has(part.id)) {
      if (part.dataset.every) due.set(part.id, { at: now + every(part), since: null });
      continue;
    }
    const plan = due.get(part.id);
    if (now < plan.at) continue;
    plan.since ??= now;
    // not under somebody's hands, unless they have done something or stay for long
    if (part.contains(document.activeElement) && now > eagerUntil && now - plan.since < HELD_BACK) continue;
    due.delete(part.id);
    htmx.trigger(part, "look");
  }
}

setInterval(tick, 250);

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.matches("[data-part]")) event.detail.headers["Stafett-Poll"] = "1";
});

// who stood on something that is gone stands on the part afterwards, not at the top of the page
let stood = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.detail.target;
  stood = part.matches("[data-part]") && part.contains(document.activeElement) ? part.id : null;
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (stood && document.activeElement === document.body) {
    const part = document.getElementById(stood);
    part?.setAttribute("tabindex", "-1");
    part?.focus({ preventScroll: true });
  }
  stood = null;
  const panel = event.detail.target.closest("#following")?.querySelector("[data-finished]");
  if (panel && !panel.dataset.told) {
    panel.dataset.told = "1";
    say(panel.dataset.finished);
  }
});

// --- what is told once: taken along by script, where there is one
const tools = () => document.querySelectorAll("[data-copy][hidden], [data-print][hidden]").forEach((tool) => (tool.hidden = false));
tools();
document.addEventListener("htmx:afterSwap", tools);
// and gone from the page when it is put away
dialog.addEventListener("close", () => dialog.querySelector(".sheet")?.remove());
document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (event.target.closest("[data-print]")) window.print();
  if (!copy) return;
  const told = document.getElementById(copy.dataset.copy);
  try {
    await navigator.clipboard.writeText(told.textContent);
    copy.querySelector("[role=status]").textContent = copy.dataset.said;
  } catch {
    getSelection().selectAllChildren(told);
  }
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target === dialog && !dialog.open) dialog.showModal();
});

// --- failures are told: where somebody waits for an answer with a word, where a part looked by itself beside the clock
function failed(event) {
  if (!event.detail.elt.matches("[data-part]")) say(document.body.dataset.failed);
  else failedSince ??= new Date();
  show();
}
for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, failed);
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.detail.elt.matches("[data-part]") && event.detail.xhr.status < 400) {
    failedSince = null;
    show();
  }
});

// --- the switch: does this page look again by itself? (WCAG 2.2.2)
function remembered(value) {
  try {
    if (value === undefined) return localStorage.getItem("paused") === "1";
    localStorage.setItem("paused", value ? "1" : "0");
  } catch {
    // a browser that keeps nothing forgets it at the next page
  }
  return Boolean(value);
}

function show() {
  if (!live) return;
  const state = paused ? "paused" : failedSince ? "stale" : following ? "following" : "clock";
  const text = live.dataset[state].replace("{}", failedSince?.toLocaleTimeString("sv", { hour: "2-digit", minute: "2-digit" }) ?? "");
  live.setAttribute("aria-pressed", String(paused));
  live.dataset.state = state;
  const label = live.querySelector("span");
  if (label.textContent !== text) label.textContent = text;
  live.hidden = parts().length === 0;
  document.documentElement.toggleAttribute("data-paused", paused);
}

if (live) {
  paused = remembered();
  live.addEventListener("click", () => {
    paused = remembered(!paused);
    if (!paused) for (const part of parts()) sooner(part, Date.now());
    show();
  });
  show();
}

// what changes is told by the server; without the stream, parts look by the clock
if (document.body.dataset.live) {
  const stream = new EventSource(document.body.dataset.live);
  stream.addEventListener("changed", (event) => changed(JSON.parse(event.data).persons));
  const know = (now) => {
    following = now;
    document.documentElement.toggleAttribute("data-following", now);
    show();
  };
  stream.addEventListener("ready", () => know(true));
  stream.addEventListener("error", () => know(false));
  addEventListener("pagehide", () => stream.close());
}

document.body.addEventListener("closed", () => dialog.close());
document.body.addEventListener("said", (event) => say(decodeURIComponent(event.detail.text)));
document.body.addEventListener("changed", () => {
  eagerUntil = Date.now() + EAGER;
  changed(null);
});
document.body.addEventListener("followed", (event) => htmx.ajax("GET", `/commands/${event.detail.value}/panel`, { target: "#following", swap: "innerHTML" }));
