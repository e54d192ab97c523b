"use strict";

// Sort a table by the column whose heading is pressed: numbers by value, text by letters, empty cells last.
for (const heading of document.querySelectorAll("th")) {
  heading.querySelector("button").addEventListener("click", () => {
    const column = heading.cellIndex;
    const body = heading.closest("table").tBodies[0];
    const rising = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const value = (row) => {
      const text = row.cells[column].textContent.trim();
      const number = parseFloat(text.replaceAll(",", ""));
      return text === "" || text === "-" ? null : Number.isNaN(number) ? text : number;
    };
    const compared = (first, second) => {
      const [a, b] = [value(first), value(second)];
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      return rising ? order : -order;
    };
    body.append(...[...body.rows].sort(compared));
  });
}

// Show or hide what a key stands for: all marks that bear its tag.
for (const key of document.querySelectorAll("button.key")) {
  key.addEventListener("click", () => {
    const shown = key.getAttribute("aria-pressed") !== "true";
    key.setAttribute("aria-pressed", String(shown));
    for (const document of Bokeh.documents) {
      for (const model of document.all_models) {
        if (model.tags.includes(key.dataset.marks)) model.visible = shown;
      }
    }
  });
}

// The charts take their colours from the style sheet when they are painted: paint them anew when it changes.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const view of Bokeh.index.roots) view.repaint ? view.repaint() : view.invalidate_render?.();
});
