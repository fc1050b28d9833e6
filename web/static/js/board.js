/* The board reads itself anew each half minute while somebody looks, and says so when it cannot. */
"use strict";

const board = document.getElementById("board");
const EVERY = 30000;
let readAt = Date.now();
let unfolded = [];

function refresh() {
  if (document.visibilityState === "visible" && window.htmx) window.htmx.trigger(board, "refresh");
}

function stale() {
  const line = document.getElementById("stale");
  const asOf = board.querySelector("[data-as-of]");
  if (!line || line.dataset.told) return;
  line.dataset.told = "yes";
  line.textContent = `${line.dataset.stale} ${asOf ? asOf.textContent.trim() : ""}`;
  board.dataset.state = "stale";
}

for (const event of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  board.addEventListener(event, (happened) => { happened.stopPropagation(); stale(); });
}
window.addEventListener("offline", stale);
window.addEventListener("online", refresh);
board.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400 && event.detail.xhr.status !== 422) { event.detail.shouldSwap = false; stale(); return; }
  unfolded = [...board.querySelectorAll("details[open][id]")].map((each) => each.id);
});
board.addEventListener("htmx:afterSwap", () => {
  for (const id of unfolded) { const each = document.getElementById(id); if (each) each.open = true; }
  delete board.dataset.state;
  readAt = Date.now();
});
document.addEventListener("visibilitychange", () => { if (Date.now() - readAt > EVERY) refresh(); });
setInterval(refresh, EVERY);

/* Own days are chosen by choosing a day. A click on another period shows it at once; by keys the button does. */
const ask = document.querySelector("form.ask");
ask.addEventListener("change", (event) => {
  if (event.target.type === "date") ask.querySelector("[name=period][value=own]").checked = true;
});
ask.addEventListener("click", (event) => {
  if (event.target.name === "period" && event.detail && event.target.value !== "own") ask.requestSubmit();
});
