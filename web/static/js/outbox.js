/* Choosing many messages at once: all that are shown with one tick, and how many are chosen. Ticks work without it. */
"use strict";

const many = document.querySelector("[data-many]");
const boxes = () => [...document.querySelectorAll("[data-one]")];
function count() {
  const chosen = boxes().filter((box) => box.checked).length;
  const every = many.querySelector("[data-all]");
  every.checked = chosen > 0 && chosen === boxes().length;
  every.indeterminate = chosen > 0 && !every.checked;
  many.querySelector("[data-chosen]").textContent = chosen ? ` (${chosen})` : "";
  many.querySelector("button").disabled = !chosen;
}
if (many) {
  many.querySelector("[data-all]").closest("label").hidden = false;
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) for (const box of boxes()) box.checked = event.target.checked;
    if (event.target.matches("[data-all], [data-one]")) count();
  });
  document.addEventListener("htmx:afterSettle", count);
  count();
}
