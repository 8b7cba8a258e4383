"use strict";
// Sorting: a click on a heading orders the row groups (tbody) by the first row's cell; totals (tfoot) stay.
function keyOf(group, column) {
  const cell = group.rows[0].cells[column];
  const shown = cell ? cell.textContent.trim() : "";
  const number = parseFloat(shown.replace(/,/g, ""));
  return { shown, number, missing: shown === "-" || shown === "" };
}

function compare(a, b) {
  if (Number.isNaN(a.number) || Number.isNaN(b.number)) {
    return a.shown.localeCompare(b.shown, undefined, { numeric: true });
  }
  return a.number - b.number;
}

function sortBy(heading) {
  const table = heading.closest("table");
  const column = heading.cellIndex;
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const isText = heading.classList.contains("t");
  const groups = Array.from(table.tBodies, (group) => ({ group, key: keyOf(group, column) }));
  groups.sort((a, b) => {
    // What is missing comes last in either order.
    if (a.key.missing || b.key.missing) return a.key.missing - b.key.missing;
    const order = isText ? a.key.shown.localeCompare(b.key.shown, undefined, { numeric: true }) : compare(a.key, b.key);
    return descending ? -order : order;
  });
  for (const { group } of groups) table.insertBefore(group, table.tFoot);
}

for (const button of document.querySelectorAll("table.sorts thead button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

// Theme: as the system has it, or light, or dark. A page opened from a file may have no storage.
const root = document.documentElement;
const toggle = document.querySelector(".theme");
const THEMES = ["auto", "light", "dark"];

function remember(theme) {
  try { localStorage.setItem("gluon_dc-theme", theme); } catch { /* then it lasts as long as the page */ }
}

function remembered() {
  try { return localStorage.getItem("gluon_dc-theme"); } catch { return null; }
}

function setTheme(theme) {
  if (theme === "auto") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme);
  toggle.textContent = "Theme: " + theme;
  toggle.dataset.theme = theme;
}

toggle.addEventListener("click", () => {
  const theme = THEMES[(THEMES.indexOf(toggle.dataset.theme) + 1) % THEMES.length];
  setTheme(theme);
  remember(theme);
});
setTheme(THEMES.includes(remembered()) ? remembered() : "auto");
toggle.hidden = false;

// What is folded opens for a link that leads there, and for the printer.
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const folded = target.querySelector(":scope > details.run");
  if (folded) folded.open = true;
}

window.addEventListener("hashchange", reveal);
window.addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
reveal();
