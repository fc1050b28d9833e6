/* Taking a report in: one tap takes a suggestion, and the unit follows the field until somebody chooses another. */
"use strict";
(() => {
const form = document.getElementById("taking");
const lead = document.getElementById("f-lead");
const text = document.getElementById("f-text");
let chosen = Boolean(lead.value);
const follow = () => {
  const inside = document.getElementById("hints-inside");
  if (!chosen && inside?.dataset.lead) lead.value = inside.dataset.lead;
};
const ask = () => { if (text.value.trim()) htmx.trigger(text, "hints"); };
document.addEventListener("click", (event) => {
  const tap = event.target.closest("[data-set]");
  if (!tap) return;
  const control = form.elements[tap.dataset.set];
  control.value = tap.dataset.value;
  ask();
  control.focus();
});
form.addEventListener("change", (event) => {
  if (event.target === lead) chosen = Boolean(lead.value);
  if (["field", "area", "urgency", "channel"].includes(event.target.name)) ask();
});
document.addEventListener("htmx:afterSettle", (event) => { if (event.target.id === "hints") follow(); });
form.addEventListener("submit", () => { for (const button of form.querySelectorAll("button.primary")) setTimeout(() => { button.disabled = true; }); });
window.addEventListener("pageshow", () => { for (const button of form.querySelectorAll("button.primary")) button.disabled = false; });
document.querySelector("[aria-invalid=true]")?.focus();
})();
