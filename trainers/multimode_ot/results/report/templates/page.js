"use strict";
(() => {
  // Tables: a button in each heading sorts by its column; what has no number stays last.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? null : cell.dataset.value;
  };
  const compareKeys = (a, b, numeric) =>
    numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const headings = [...table.querySelectorAll("th[data-column]")];
    for (const heading of headings) {
      heading.querySelector("button").addEventListener("click", () => {
        const column = Number(heading.dataset.column);
        const numeric = heading.dataset.kind === "number";
        const before = heading.getAttribute("aria-sort");
        const first = heading.dataset.first;
        const other = first === "ascending" ? "descending" : "ascending";
        const direction = before === first ? other : first;
        const sign = direction === "ascending" ? 1 : -1;
        const rows = [...body.rows].sort((left, right) => {
          const a = keyOf(left, column);
          const b = keyOf(right, column);
          if (a === null || b === null) return (a === null) - (b === null);
          return sign * compareKeys(a, b, numeric);
        });
        for (const each of headings) each.setAttribute("aria-sort", "none");
        heading.setAttribute("aria-sort", direction);
        body.append(...rows);
      });
    }
  }

  // On paper all is open; on the screen it is then as it was.
  let opened = [];
  const onPaper = (prints) => {
    if (prints) {
      opened = [...document.querySelectorAll("details:not([open])")];
      for (const each of opened) each.open = true;
    } else {
      for (const each of opened) each.open = false;
      opened = [];
    }
  };
  const paper = window.matchMedia("print");
  paper.addEventListener("change", (event) => onPaper(event.matches));
  if (paper.matches) onPaper(true);

  // A link into something closed opens it.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let each = target; each; each = each.parentElement) {
      if (each.tagName === "DETAILS") each.open = true;
    }
    if (target) target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  if (location.hash) reveal();
})();
