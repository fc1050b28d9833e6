/* On every page: clocks that stay true, menus that close, short messages. Nothing here is needed to use a page. */
"use strict";

const VI = document.documentElement.lang === "vi";
const serverNow = document.body.dataset.now ? Date.parse(document.body.dataset.now) : Date.now();
const offset = serverNow - Date.now();

/* The same words as web/times.py. */
function span(milliseconds) {
  const whole = Math.floor(Math.abs(milliseconds) / 60000);
  const parts = [[Math.floor(whole / 1440), VI ? "ngày" : "d"], [Math.floor(whole % 1440 / 60), VI ? "giờ" : "h"], [whole % 60, VI ? "phút" : "min"]];
  const told = parts.filter(([count]) => count).slice(0, 2).map(([count, unit]) => `${count} ${unit}`).join(" ");
  return told || (VI ? "dưới 1 phút" : "under 1 min");
}

function left(due) {
  const length = due - (Date.now() + offset);
  if (length < 0) return VI ? `Quá hạn ${span(length)}` : `${span(length)} overdue`;
  return VI ? `Còn ${span(length)}` : `${span(length)} left`;
}

function tick(root) {
  for (const each of (root || document).querySelectorAll("time[data-due]")) {
    const due = Date.parse(each.dateTime);
    const told = left(due);
    if (each.textContent !== told) each.textContent = told;
    const badge = each.closest("[data-tone]");
    if (badge && due < Date.now() + offset) { badge.classList.remove("calm", "warn"); badge.classList.add("late"); }
  }
}

function say(text, tone) {
  const line = document.createElement("div");
  line.className = `alert ${tone || "good"}`;
  line.textContent = text;
  document.getElementById("toasts").append(line);
  setTimeout(() => line.remove(), 6000);
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) if (!menu.contains(event.target)) menu.open = false;
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open).showModal();
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  if (event.target.closest("[data-dismiss]")) event.target.closest("[data-toast]").remove();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) { menu.open = false; menu.querySelector("summary").focus(); }
});
document.addEventListener("toast", (event) => say(event.detail.text, event.detail.tone));
document.addEventListener("htmx:afterSettle", (event) => tick(event.target));
document.addEventListener("htmx:sendError", () => say(VI ? "Mất kết nối. Nội dung vẫn còn, hãy thử lại." : "No connection. Nothing is lost, try again.", "bad"));
setInterval(tick, 30000);
