"use strict";
(() => {
  const content = document.getElementById("content");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const filters = { phase: new Set(), group: new Set(), text: "" }; // what is switched off, and the text looked for

  // Figures: plotly is unpacked when the first one is seen.
  let loading = null;
  function plotly() {
    loading ??= (async () => {
      const packed = document.getElementById("plotly").textContent;
      const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text();
      document.head.append(script);
      return window.Plotly;
    })();
    return loading;
  }
  function themed(layout) {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
    const made = structuredClone(layout);
    Object.assign(made, { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, sans-serif", size: 12, color: ink } });
    for (const axis of ["xaxis", "yaxis"]) if (made[axis]) made[axis] = { gridcolor: line, zerolinecolor: ink, ...made[axis] };
    if (made.ternary) {
      made.ternary.bgcolor = "rgba(0,0,0,0)";
      for (const axis of ["aaxis", "baxis", "caxis"]) Object.assign(made.ternary[axis], { gridcolor: line, linecolor: ink });
    }
    return made;
  }
  function fitted(layout, width) { // long names of rows are cut where they would leave no room
    const names = layout.yaxis && layout.yaxis.categoryarray, longest = Math.max(12, Math.floor(width / 16));
    if (names) {
      layout.yaxis.tickvals = names;
      layout.yaxis.ticktext = names.map((name) => name.length > longest ? name.slice(0, longest - 1) + "\u2026" : name);
    }
    return layout;
  }
  async function draw(figure) {
    const held = figure.querySelector('script[type="application/json"]');
    if (!held || !held.textContent) return;
    const drawing = JSON.parse(held.textContent), live = figure.querySelector(".live");
    if (typeof DecompressionStream === "undefined") return; // an old browser keeps the still picture
    const Plotly = await plotly();
    if (!figure.isConnected) return;
    for (const trace of drawing.data) if (trace.meta && filters.phase.has(trace.meta.group)) trace.visible = false;
    live.hidden = false;
    figure.classList.add("drawn");
    await Plotly.react(live, drawing.data, fitted(themed(drawing.layout), live.clientWidth), { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] });
    if (!figure.dataset.listens) {
      figure.dataset.listens = "1";
      live.on("plotly_click", (event) => {
        const to = event.points[0] && event.points[0].customdata;
        if (typeof to === "string" && document.getElementById(to)) location.hash = to;
      });
    }
  }
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "200px" });
  const watch = () => all("figure.chart:not(.own)").forEach((figure) => seen.observe(figure));
  const redraw = () => all("figure.drawn").forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // Links into a closed section open it.
  function reveal() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let part = target; part; part = part.parentElement) {
      if (part instanceof HTMLDetailsElement) part.open = true;
      part.hidden = false;
    }
    target.scrollIntoView();
    const focus = target instanceof HTMLDetailsElement ? target.querySelector("summary") : target;
    if (!focus.matches("summary, a, input")) focus.tabIndex = -1;
    focus.focus({ preventScroll: true });
  }
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => { // a second click on the link of the section that is shown already
    const link = event.target.closest && event.target.closest('a[href^="#"]');
    if (link && link.getAttribute("href") === location.hash) reveal();
  });

  // Print: everything is open, and closed again after.
  let opened = [];
  addEventListener("beforeprint", () => {
    const closed = all("details:not([open])");
    closed.forEach((part) => { part.open = true; });
    opened.push(...closed);
  });
  addEventListener("afterprint", () => { opened.forEach((part) => { part.open = false; }); opened = []; });

  // Filters.
  function filter() {
    const looked = filters.text.toLowerCase();
    let shown = 0, of = 0;
    for (const part of all("[data-phase]")) {
      part.hidden = filters.phase.has(part.dataset.phase) || !part.dataset.id.toLowerCase().includes(looked);
      if (part.matches("article.experiment")) { of += 1; shown += part.hidden ? 0 : 1; }
    }
    for (const part of all("[data-group]")) part.hidden = filters.group.has(part.dataset.group);
    const told = document.getElementById("filtered");
    if (told) told.textContent = shown === of ? "" : `${shown} of ${of} shown`;
  }
  function take(form) {
    for (const name of ["phase", "group"])
      filters[name] = new Set(all(`input[name=${name}]`, form).filter((box) => !box.checked).map((box) => box.value));
    filters.text = form.elements.text.value.trim();
  }
  function restore() {
    const form = document.getElementById("filters");
    if (!form) return;
    for (const name of ["phase", "group"])
      for (const box of all(`input[name=${name}]`, form)) box.checked = !filters[name].has(box.value);
    form.elements.text.value = filters.text;
    filter();
  }
  content.addEventListener("input", (event) => {
    const form = event.target.closest("#filters");
    if (!form) return;
    const phases = [...filters.phase].join();
    take(form);
    filter();
    if ([...filters.phase].join() !== phases) redraw();
  });
  content.addEventListener("submit", (event) => event.preventDefault());

  // Live: asks the local server whether the run has moved, and exchanges the content where it has.
  async function exchange() {
    const answer = await fetch("content", { cache: "no-store" });
    if (!answer.ok) return null;
    const open = new Set(all("details[open][id]").map((part) => part.id));
    const active = document.activeElement, field = active && active.name === "text" ? active.selectionStart : null;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const at = scrollY;
    all("figure.drawn .live").forEach((live) => window.Plotly && window.Plotly.purge(live));
    seen.disconnect();
    content.replaceChildren(...parsed.body.childNodes);
    open.forEach((id) => { const part = document.getElementById(id); if (part) part.open = true; });
    restore();
    if (field !== null) { const box = document.querySelector("input[name=text]"); box.focus(); box.setSelectionRange(field, field); }
    scrollTo(0, at);
    watch();
    return answer.headers.get("ETag");
  }
  async function poll() {
    try {
      const state = await (await fetch("state", { cache: "no-store" })).json();
      if (state.version !== document.body.dataset.version) {
        const tag = await exchange();
        if (tag) document.body.dataset.version = tag.replaceAll('"', "");
      }
    } catch (fault) { /* the server is gone; the page stays as it is */ }
    setTimeout(poll, 1500);
  }

  restore();
  watch();
  if (location.hash) reveal();
  if (document.body.dataset.version) poll();
})();
