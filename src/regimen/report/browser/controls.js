"use strict";
// Controls that several sections share. It knows no section and no data.
regimen.controls = (() => {
  const { element } = regimen;

  function choice(label, options, chosen, take) {
    return element("label", {}, `${label} `, element("select", { on: { change: (event) => take(event.target.value) } },
      ...options.map(([value, words]) => element("option", { value, selected: value === chosen }, words))));
  }
  function search(label, value, take) {
    const box = element("input", { type: "search", value, placeholder: label, "aria-label": label, autocomplete: "off", on: { input: () => take(box.value) } });
    return box;
  }
  // Chosen ones as chips that a click removes, and a field that adds one. `all` holds {id, title}.
  let pickers = 0;
  function picker(label, all, chosen, take, colour = () => null) {
    const list = `picker-${(pickers += 1)}`, named = new Map(all.map((one) => [one.id, one]));
    const chips = chosen.map((id) => element("button", { type: "button", class: "chosen", title: `${named.get(id)?.title ?? id} (${id}): click to remove`, on: { click: () => take(chosen.filter((one) => one !== id)) } },
      colour(id) ? element("i", { style: { background: colour(id) } }) : null, element("span", {}, named.get(id)?.title ?? id), element("span", { "aria-hidden": "true" }, " \u00d7"), element("span", { class: "unseen" }, " remove")));
    const box = element("input", { type: "search", list, placeholder: "add by name or id", "aria-label": `Add to ${label}`, autocomplete: "off", on: { input: () => {
      const text = box.value.trim().toLowerCase();
      const found = all.find((one) => one.id.toLowerCase() === text) ?? all.find((one) => one.title.toLowerCase() === text);
      if (found && !chosen.includes(found.id)) take([...chosen, found.id]);
    } } });
    const options = all.filter((one) => !chosen.includes(one.id)).map((one) => element("option", { value: one.id, label: one.title }));
    return element("div", { class: "picker", role: "group", "aria-label": label }, element("span", { class: "soft" }, label), ...chips, box, element("datalist", { id: list }, ...options));
  }
  // A panel at the right; `close` is called by its button and by Escape.
  function panel(label, close, ...children) {
    return element("div", { class: "panel", role: "dialog", "aria-label": label, tabindex: "-1", on: { keydown: (event) => { if (event.key === "Escape") close(); } } },
      element("button", { type: "button", class: "close", "aria-label": "Close", on: { click: close } }, "\u00d7"), ...children);
  }
  // A table in a frame that scrolls; cells are texts or elements.
  function table(label, heads, rows, leftward = 1) {
    const side = (at) => at < leftward ? "left" : "";
    return element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": label }, element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((words, at) => words instanceof HTMLTableCellElement ? words : element("th", { scope: "col", class: side(at) }, words)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell, at) => cell instanceof HTMLTableCellElement ? cell : element(at ? "td" : "th", { class: side(at), scope: at ? null : "row" }, cell)))))));
  }
  // A shadow at the right edge of a Tabulator table while there is more to scroll to; and its parts' roles, so that the
  // part that scrolls, which the keyboard reaches, is a group of rows and not a stranger in the grid.
  function edge(sheet) {
    const holder = sheet.querySelector(".tabulator-tableholder");
    holder.setAttribute("role", "rowgroup");
    holder.querySelector(".tabulator-table").setAttribute("role", "presentation");
    sheet.removeAttribute("aria-owns");
    const look = () => sheet.classList.toggle("more", holder.scrollLeft + holder.clientWidth < holder.scrollWidth - 2);
    holder.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(holder);
    look();
  }
  return { choice, search, picker, panel, table, edge };
})();
