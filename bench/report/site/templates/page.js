"use strict";
// Sorting by the data-sort of each cell (full precision); empty cells stay last either way.
for (const table of document.querySelectorAll("table:not(.small)")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const number = head.classList.contains("number");
    head.querySelector("button").addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const first = number && column > 0 ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const order = before === first ? second : first;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...table.tBodies[0].rows];
      const value = (row) => row.cells[column].dataset.sort;
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (number ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true }));
      });
      table.tBodies[0].append(...rows);
    });
  });
}
for (const input of document.querySelectorAll('input[type="search"]')) {
  const rows = [...input.closest(".card").querySelectorAll("tbody tr")];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
for (const button of document.querySelectorAll("figure button")) {
  button.addEventListener("click", () => button.parentElement.classList.toggle("large"));
}
// Tabs: without this script every board is simply shown beneath the other.
const tabs = [...document.querySelectorAll('[role="tab"]')];
function showBoard() {
  const wanted = tabs.find((tab) => tab.hash === location.hash) || tabs[0];
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === wanted));
    document.getElementById(tab.hash.slice(1)).hidden = tab !== wanted;
  }
}
if (tabs.length) {
  for (const tab of tabs) {
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      history.replaceState(null, "", tab.hash);
      showBoard();
    });
  }
  addEventListener("hashchange", showBoard);
  showBoard();
}
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
});
