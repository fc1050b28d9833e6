/* The page of one case: forms in place, drafts that survive, choosing by typing, previews, and what others do meanwhile. */
"use strict";
(() => {
const live = document.getElementById("case-live");
const box = () => document.getElementById("case");
const words = JSON.parse(live.dataset.words);
const keep = (key) => `draft:${key}`;
let sending = null;
let waiting = null;

/* Focus: the first thing that is wrong, else the first thing to fill in, else to read. */
function enter(form) {
  const seen = (selector) => [...form.querySelectorAll(selector)].find((each) => !each.closest("details:not([open])"));
  const to = seen("[aria-invalid=true], [data-look]") || seen("input[data-find]:not([hidden]), textarea, select, input:not([type=hidden]):not([type=radio]):not([type=checkbox])") || seen("[data-read]") || seen("[data-send]");
  if (to) { to.focus({ preventScroll: true }); to.scrollIntoView({ block: "nearest" }); }
}
function mode(name) {
  const choice = document.getElementById(`mode-${name}`);
  if (!choice) return false;
  choice.checked = true;
  enter(document.getElementById(`do-${name}`));
  return true;
}
function bottom() { const talk = document.getElementById("case-talk"); if (talk) talk.scrollTop = talk.scrollHeight; }

/* Drafts stay in this tab until they are sent. */
function fields(form) { return [...form.elements].filter((each) => each.name && !["version", "csrf", "preview"].includes(each.name) && each.type !== "file"); }
function save(form) {
  const kept = fields(form).filter((each) => !["radio", "checkbox"].includes(each.type) || each.checked).map((each) => [each.name, each.value]);
  try { sessionStorage.setItem(keep(form.dataset.form), JSON.stringify(kept)); } catch { /* full or forbidden: the page works without */ }
}
function restore(form) {
  const kept = sessionStorage.getItem(keep(form.dataset.form));
  if (!kept || form.dataset.draft === "dirty") return;
  const values = JSON.parse(kept);
  for (const each of fields(form)) {
    if (each.type === "radio" || each.type === "checkbox") each.checked = values.some(([name, value]) => name === each.name && value === each.value);
    else { const found = values.find(([name]) => name === each.name); if (found) each.value = found[1]; }
  }
  form.dataset.draft = "dirty";
}
function forget(form) { if (form?.dataset.form) { sessionStorage.removeItem(keep(form.dataset.form)); delete form.dataset.draft; } }
const dirty = () => [...document.querySelectorAll("form[data-draft=dirty]")];

/* Choosing from a long list by typing, marks or none. */
const fold = (text) => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/đ/g, "d").trim();
function narrow(input) {
  const wanted = fold(input.value).split(/\s+/).filter(Boolean);
  const picker = input.closest("[data-picker]");
  let shown = 0;
  for (const row of picker.querySelectorAll(".pick")) {
    const fits = wanted.every((word) => (row.dataset.words || "").includes(word));
    row.hidden = !fits;
    shown += fits;
  }
  picker.querySelector(".none").hidden = shown > 0;
}
function prepare(root) {
  for (const input of root.querySelectorAll("input[data-find]")) input.hidden = false;
  for (const form of root.querySelectorAll("form[data-form]")) { restore(form); count(form); }
  for (const chosen of root.querySelectorAll(".pick input:checked")) { const list = chosen.closest(".list"); list.scrollTop = Math.max(0, chosen.closest(".pick").offsetTop - 60); }
}

/* How many messages a text becomes: with marks 70 letters in one, 67 in each of several. */
function count(form) {
  const area = form.querySelector("textarea[data-sms]");
  const told = form.querySelector("[data-counter]");
  if (!area || !told) return;
  const length = area.value.length;
  const plain = /^[\x20-\x7e\n\r]*$/.test(area.value);
  const [one, more] = plain ? [160, 153] : [70, 67];
  told.textContent = length ? `${length} ${live.dataset.parts} · ${length <= one ? 1 : Math.ceil(length / more)} ${live.dataset.sms}` : "";
}

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-find]")) { narrow(event.target); return; }
  const form = event.target.closest("form[data-form]");
  if (!form) return;
  form.dataset.draft = "dirty";
  save(form);
  count(form);
});
document.addEventListener("change", (event) => {
  const option = event.target.selectedOptions?.[0];
  const area = option?.dataset.text !== undefined && document.querySelector(`[data-follows="${event.target.id}"]`);
  if (!area) return;
  const known = [...event.target.options].map((each) => each.dataset.text || "");
  if (!area.value.trim() || known.includes(area.value)) { area.value = option.dataset.text; save(area.form); }
});
document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.key === "Escape" && !document.querySelector("dialog[open], details[data-menu][open]")) {
    const cancel = document.querySelector("#case-form [data-cancel]");
    if (cancel) { event.preventDefault(); cancel.click(); }
    return;
  }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !document.querySelector("dialog[open]")) {
    const send = (target.form || document.querySelector("#case-form form"))?.querySelector("[data-send]");  // never the preview, even when it was pressed last
    if (send) { event.preventDefault(); send.click(); }
    return;
  }
  if (!target.matches?.("[data-find]")) return;
  const rows = [...target.closest("[data-picker]").querySelectorAll(".pick:not([hidden]) input")];
  if (event.key === "ArrowDown" && rows.length) { event.preventDefault(); rows[0].focus(); if (rows[0].type === "radio") { rows[0].checked = true; rows[0].dispatchEvent(new Event("input", { bubbles: true })); } }
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && target.value.trim()) {
    event.preventDefault();
    if (!rows.length) return;
    rows[0].checked = rows[0].type === "radio" ? true : !rows[0].checked;
    rows[0].dispatchEvent(new Event("input", { bubbles: true }));
    target.value = "";
    narrow(target);
    rows[0].closest(".list").scrollTop = Math.max(0, rows[0].closest(".pick").offsetTop - 60);
  }
}, true);
document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest(selector);
  const talk = at("[data-talk]");
  if (talk && mode(talk.dataset.talk)) { event.preventDefault(); talk.closest("details[data-menu]")?.removeAttribute("open"); return; }
  const label = at("label[data-mode]");
  if (label) { event.preventDefault(); mode(label.dataset.mode); return; }
  if (at(".case-acts .item")) at("details[data-menu]")?.removeAttribute("open");
  const summary = at(".case-acts summary");
  if (summary && !summary.parentElement.open) setTimeout(() => [...summary.parentElement.querySelectorAll(".item")].find((item) => item.offsetParent)?.focus());
  const cancel = at("[data-cancel]");
  if (cancel) { event.preventDefault(); close(cancel.closest("form") || cancel.closest(".opened")?.querySelector("form")); return; }
  const copy = at("[data-copy]");
  if (copy) navigator.clipboard?.writeText(copy.dataset.copy).then(() => document.dispatchEvent(new CustomEvent("toast", { detail: { text: `${live.dataset.copied} ${copy.dataset.copy}` } })));
  const picture = at("[data-picture]");
  if (picture && !event.ctrlKey && !event.metaKey) { event.preventDefault(); const dialog = document.getElementById("picture"); dialog.querySelector("img").src = picture.href; dialog.querySelector("img").alt = picture.querySelector("img").alt; dialog.showModal(); }
});

/* Giving up what one was writing. */
function close(form) {
  forget(form);
  if (form?.closest("#case-form")) { document.getElementById("case-form").replaceChildren(); document.getElementById("case-title").focus(); look(); }
  else { form?.reset(); look(true); }
}

/* What others do. Nothing moves under the hands of somebody who writes: they are told, and look when they like. */
function look(always) {
  if (waiting) clearTimeout(waiting);
  waiting = setTimeout(() => { waiting = null; if (box()) htmx.ajax("GET", `/console/cases/${live.dataset.code}?part=case`, { source: live, target: "#case", swap: "morph:outerHTML" }); }, always ? 0 : 150);
}
function tell(kind) {
  const now = new Date().toLocaleTimeString("vi-VN", { hour: "2-digit", minute: "2-digit", timeZone: live.dataset.zone });
  const bar = document.createElement("div");
  const told = document.createElement("span");
  told.textContent = `${live.dataset.at} ${now}${kind ? `: ${words[kind] || kind}` : ""}`;
  const see = document.createElement("button");
  see.type = "button"; see.className = "btn small"; see.textContent = live.dataset.see;
  see.addEventListener("click", () => { look(true); document.getElementById("case-title").focus(); });
  bar.append(told, see);
  document.getElementById("case-news")?.replaceChildren(bar);
}
let later = null;
function heard(news) {
  if (!news.left && news.kind?.startsWith("case.") && news.version <= Number(box()?.dataset.version)) return;
  if (sending) { later = news; return; }  // the answer on its way may bring it, or not yet
  if (dirty().length && !news.left) tell(news.kind); else look();
}
function after() {
  sending = null;
  if (later) { const news = later; later = null; heard(news); }
}
document.addEventListener("htmx:sseOpen", (event) => {
  const source = event.detail.source;
  if (!source || source.heard) return;
  source.heard = true;
  source.addEventListener(live.dataset.code, (event) => heard(JSON.parse(event.data)));
});
document.addEventListener("resync", () => tell(""));

/* Swaps: what somebody is writing elsewhere stays as it is, and so does a form just opened; the form that was sent shows its answer. */
Idiomorph.defaults.callbacks.beforeNodeMorphed = (before, after) => !(before.matches?.("form[data-draft=dirty]") && before !== sending);
Idiomorph.defaults.callbacks.beforeNodeRemoved = (node) => !(node.nodeType === 1 && [node, ...node.querySelectorAll("form")].some((each) => each.matches("form[data-draft=dirty], #case-form form") && each !== sending));
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.localName === "details") && !(name === "checked" && node.matches(".mode"));
document.addEventListener("htmx:beforeRequest", (event) => { const form = event.detail.elt.closest("form[method=post]"); if (form && event.detail.target === box()) sending = form; });
document.addEventListener("sent", (event) => forget(sending?.dataset.form ? sending : null));
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target !== box()) return;
  if (event.detail.xhr.status === 404) event.detail.swapOverride = "outerHTML";  // no longer theirs to see: nothing of it stays, whatever was being written
  if (!sending) return;
  delete sending.dataset.draft;
});
document.addEventListener("htmx:afterRequest", (event) => { if (sending && event.detail.elt.closest("form") === sending && !event.detail.successful && event.detail.xhr.status === 0) after(); });
document.addEventListener("htmx:afterSettle", (event) => {
  const whole = event.target.id === "case" || event.detail.target?.id === "case";
  if (whole) {
    const form = sending?.isConnected ? sending : null;
    const wrong = document.querySelector("#case form[data-draft=dirty] [aria-invalid=true], #case form[data-draft=dirty] [data-look]");
    for (const form of document.querySelectorAll("#case-form form:not([data-draft])")) form.elements.version.value = box().dataset.version;  // opened, and left open by a look
    prepare(box());
    after();
    if (wrong) enter(wrong.closest("form"));
    else { if (form) form.reset(); bottom(); if (document.activeElement === document.body) document.getElementById("case-title")?.focus({ preventScroll: true }); }
  }
  if (event.target.id === "case-form") { prepare(event.target); const form = event.target.querySelector("form"); if (form) enter(form); event.target.scrollIntoView({ block: "nearest" }); }
  if (event.target.id === "why-body") document.getElementById("why").showModal();
});

prepare(document);
bottom();
const open = document.querySelector("#case-form form") || document.querySelector("form[data-draft=dirty] [aria-invalid=true], form[data-draft=dirty] [data-look]")?.closest("form");
if (open) enter(open);
})();
