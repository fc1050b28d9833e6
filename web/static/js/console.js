/* The staff's pages: keys, and whether the page is told of changes. A control says its key itself: data-key="r". */
"use strict";

const KEYS = "keys";
const keysOn = () => localStorage.getItem(KEYS) !== "off";
const typing = (element) => element.closest("input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable]");
const seen = (element) => element && element.offsetParent !== null && !element.disabled;
const first = (selector) => [...document.querySelectorAll(selector)].find(seen);
let going = 0;

function press(element) {
  if (!element) return false;
  if (element.matches("input:not([type=submit]), textarea, select")) element.focus();
  else element.click();
  return true;
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")].filter(seen);
  if (!rows.length) return false;
  const at = rows.indexOf(document.activeElement);
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function go(place) {
  if (place === "q") location.href = "/console";
  else if (place === "s") location.href = "/ioc";
  else if (place === "m") press(document.querySelector("[data-goto=m]")) || (location.href = "/console?view=mine");
  else return false;
  return true;
}

function pressed(key) {
  if (key === "j") return move(1);
  if (key === "k") return move(-1);
  if (key === "/") return press(first("#find"));
  if (key === "?") { document.getElementById("keys").showModal(); return true; }
  if (key === "g") { going = Date.now(); return true; }
  return press(first(`[data-key="${CSS.escape(key)}"]`));
}

function handle(event) {
  if (event.isComposing || event.defaultPrevented) return;
  const target = event.target;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && target.form) { event.preventDefault(); target.form.requestSubmit(); return; }
  if (event.key === "Escape" && !document.querySelector("dialog[open], details[data-menu][open]")) {
    if (typing(target)) { target.blur(); return; }
    const out = first("[data-back]");
    if (out) { event.preventDefault(); out.click(); }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(target) || !keysOn() || document.querySelector("dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : "";
  if (!key) return;
  const done = Date.now() - going < 1500 && go(key) || pressed(key);
  if (key !== "g") going = 0;
  if (done) event.preventDefault();
}
document.addEventListener("keydown", handle);
/* Who is quick has pressed keys before this came (early.js): moves, and one act. htmx is ready at this event, for its
   listener is older. */
document.addEventListener("DOMContentLoaded", () => {
  document.removeEventListener("keydown", keepKey);
  for (const event of earlyKeys) {
    const chosen = document.activeElement;
    if (event.key === "Enter" && event.target === document.body && chosen !== document.body) { chosen.click(); return; }
    handle(event);
    if (event.defaultPrevented && !"gjk".includes(event.key)) return;
  }
});

for (const box of document.querySelectorAll("[data-keys-switch]")) {
  box.checked = keysOn();
  box.addEventListener("change", () => localStorage.setItem(KEYS, box.checked ? "on" : "off"));
}

/* Live: say whether the page hears of changes, and read it anew when it has missed too much. */
const light = document.querySelector("[data-live]");
function live(on) {
  if (!light) return;
  light.hidden = false;
  light.dataset.state = on ? "on" : "off";
  light.firstElementChild.textContent = on ? light.dataset.on : light.dataset.off;
}
const dirty = () => [...document.querySelectorAll("form[data-draft]")].some((form) => form.dataset.draft === "dirty");
/* What somebody is told, or has seen elsewhere, changes the count in the bell at once; it is read every half minute too. */
const ring = () => htmx.trigger(document.querySelector("[data-bell]"), "ring");
let stream = null;
let asleep = 0;
/* Read anew, but not all consoles in one instant, and not again and again while a flood lasts. */
function anew() {
  if (dirty()) { document.dispatchEvent(new CustomEvent("resync")); return; }
  const since = Date.now() - Number(sessionStorage.getItem("anew") || 0);
  setTimeout(() => {
    sessionStorage.setItem("anew", Date.now());
    location.reload();
  }, Math.max(0, 60000 - since) + Math.random() * 5000);
}
document.addEventListener("htmx:sseOpen", (event) => {
  live(true);
  const source = event.detail.source;
  if (source && source === stream) ring();
  if (!source || source === stream) return;
  stream = source;
  source.addEventListener("resync", anew);
  source.addEventListener("bell", ring);
  source.addEventListener("case", (event) => changed(JSON.parse(event.data)));
  source.addEventListener("end", (ended) => {
    live(false);
    if (JSON.parse(ended.data).reason === "signed-out") location.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
  });
});
/* Who signs out here is on the way to the sign-in page already: the end of the stream must not send them elsewhere. */
document.addEventListener("submit", (event) => { if (event.target.getAttribute("action") === "/sign-out" && stream) stream.close(); });
document.addEventListener("htmx:sseError", () => live(false));
/* A browser has few connections to a host: a tab nobody looks at gives its own back, and reads anew when shown again. */
document.addEventListener("visibilitychange", () => {
  clearTimeout(asleep);
  if (document.hidden) asleep = setTimeout(() => { if (stream && !dirty()) { stream.close(); live(false); } }, 60000);
  else if (stream && stream.readyState === EventSource.CLOSED) location.reload();
});

/* The queue: counts follow what happens at most every four seconds, the last change never left out. A list does not jump
   under its reader's eyes: what is new in it is told, and a button reads it anew; an empty one does so by itself. */
const views = document.getElementById("views");
const heard = new Set();
let soon = 0;
let again = false;
function changed({ code, left }) {
  if (!views) return;
  if (!left && !document.getElementById(`row-${code}`)) heard.add(code);
  if (soon) again = true;
  else soon = setTimeout(look, 300 + Math.random() * 700);
}
async function look() {
  again = false;
  const codes = [...heard];
  heard.clear();
  htmx.trigger(views, "anew");
  const query = views.dataset.query;
  const rows = codes.slice(0, 10).map((code) => fetch(`/console/rows/${code}?${query}`).then((answer) => answer.ok ? answer.text() : "", () => ""));
  const mine = codes.length > 10 || (await Promise.all(rows)).some((html) => html.trim());
  if (mine && !document.querySelector("[data-row]") && !document.querySelector("details[open]")) { location.reload(); return; }
  const reload = document.querySelector("[data-reload]");
  if (mine && reload.hidden) {
    reload.hidden = false;
    document.querySelector("[data-told]").textContent = reload.textContent;
  }
  soon = setTimeout(() => { soon = 0; if (again) soon = setTimeout(look, 0); }, 3000);
}
if (views) document.querySelector("[data-reload]").addEventListener("click", () => location.reload());
