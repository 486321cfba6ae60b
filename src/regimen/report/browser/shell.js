"use strict";
// The page's own machinery: tabs and the address, packed data and libraries, the live page. It knows no section.
const regimen = (() => {
  const content = document.getElementById("content");
  const drawers = {}, blocks = new Map(), libraries = new Map();
  const all = (selector, within = content) => [...within.querySelectorAll(selector)];
  const tab = (name) => all("main > section").find((section) => section.id === name);

  // Packed data and libraries.
  async function unpacked(id) {
    const held = document.getElementById(id);
    if (!held) throw new Error(`the page holds no ${id}`);
    const bytes = Uint8Array.from(atob(held.textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }
  function data(name) {
    if (!blocks.has(name)) blocks.set(name, unpacked(`data-${name}`).then(JSON.parse));
    return blocks.get(name);
  }
  const has = (name) => document.getElementById(`data-${name}`) !== null;
  const GLOBALS = { tabulator: "Tabulator", uplot: "uPlot" };
  async function load(name) {
    const script = document.createElement("script");
    script.textContent = await unpacked(`library-${name}`);
    document.head.append(script);
    const value = name === "tabulator" ? Tabulator : uPlot;
    if (!value) throw new Error(`${GLOBALS[name]} did not load`);
    return value;
  }
  function library(name) {
    if (!libraries.has(name)) libraries.set(name, load(name));
    return libraries.get(name);
  }

  // Elements: text is always text, never markup.
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
      else if (key === "style") Object.assign(made.style, value);
      else if (typeof value === "boolean") made.toggleAttribute(key, value);
      else if (value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  // Numbers as the rest of the report writes them.
  const known = (value) => typeof value === "number" && Number.isFinite(value);
  const number = (value, digits = 3) => known(value) ? value.toFixed(digits) : "not yet";
  const signed = (value, digits = 3) => known(value) ? (value < 0 ? "" : "+") + value.toFixed(digits) : "not yet";
  const count = (value) => known(value) ? Math.round(value).toLocaleString("en") : "not yet";
  const probability = (value) => !known(value) ? "not yet" : value < 0.001 ? "< 0.001" : value.toFixed(3);

  // The address: #section?key=value&...
  function place() {
    const [name, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
    return { name: decodeURIComponent(name), state: Object.fromEntries(new URLSearchParams(query)) };
  }
  function link(name, state = {}) {
    const kept = Object.entries(state).filter(([, value]) => value !== undefined && value !== null && value !== "");
    return kept.length ? `#${name}?${new URLSearchParams(kept)}` : `#${name}`;
  }
  function go(name, state) { location.hash = link(name, state); }
  function keep(name, state) { history.replaceState(null, "", link(name, state)); } // without drawing again

  async function show(name, state) {
    const section = tab(name);
    for (const other of all("main > section")) other.classList.toggle("shown", other === section);
    for (const one of all("nav a")) {
      if (one.hash === `#${name}`) one.setAttribute("aria-current", "page");
      else one.removeAttribute("aria-current");
    }
    const live = section.querySelector(":scope > .live"), draw = drawers[name];
    if (!live || !draw) return;
    if (typeof DecompressionStream === "undefined") { // a browser from before 2023 keeps what stands there
      live.replaceChildren(element("p", { class: "soft" }, "This browser cannot unpack the page's data; a newer one draws more here."));
      return;
    }
    try {
      await draw(live, state);
      section.classList.add("drawn");
    } catch (fault) {
      section.classList.remove("drawn");
      live.replaceChildren(element("p", { class: "warning" }, `This part could not be drawn: ${fault.message}`));
      console.error(fault);
    }
  }
  function follow() {
    const { name, state } = place();
    if (tab(name)) { show(name, state); return; }
    const target = name && document.getElementById(name);
    if (!target || !content.contains(target)) { show(all("main > section")[0].id, {}); return; }
    for (let part = target; part; part = part.parentElement) if (part instanceof HTMLDetailsElement) part.open = true;
    show(target.closest("main > section").id, {});
    target.scrollIntoView();
    const focus = target instanceof HTMLDetailsElement ? target.querySelector("summary") : target;
    if (!focus.matches("summary, a, input, button")) focus.tabIndex = -1;
    focus.focus({ preventScroll: true });
  }
  addEventListener("hashchange", () => { if (tab(place().name)) scrollTo(0, 0); follow(); });
  document.addEventListener("click", (event) => { // a second click on the address that is shown already
    const clicked = event.target.closest && event.target.closest('a[href^="#"]');
    if (clicked && clicked.getAttribute("href") === location.hash) follow();
  });

  // Live: asks the local server whether the run has moved, and exchanges the content where it has.
  async function exchange() {
    const answer = await fetch("content", { cache: "no-store" });
    if (!answer.ok) return null;
    const open = all("details[open][id]").map((part) => part.id), at = scrollY;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    blocks.clear();
    content.replaceChildren(...parsed.body.childNodes);
    for (const id of open) { const part = document.getElementById(id); if (part) part.open = true; }
    const { name, state } = place();
    await show(tab(name) ? name : all("main > section")[0].id, tab(name) ? state : {});
    scrollTo(0, at);
    return answer.headers.get("ETag");
  }
  async function poll() {
    try {
      const state = await (await fetch("state", { cache: "no-store" })).json();
      if (state.version !== document.body.dataset.version && !content.querySelector(":focus:is(input, select, textarea)")) {
        const tag = await exchange();
        if (tag) document.body.dataset.version = tag.replaceAll('"', "");
      }
    } catch { /* the server is gone; the page stays as it is */ }
    setTimeout(poll, 1500);
  }

  // After the sections' own scripts, which stand below in the same file.
  queueMicrotask(() => {
    follow();
    if (document.body.dataset.version) poll();
  });
  return {
    // A section's script says how it is drawn: draw(live, state) fills the empty element `live` from data and `state`,
    // the address's values as texts. It is called whenever the section is shown or its address changes.
    section(name, draw) { drawers[name] = draw; },
    data, has, library, element, number, signed, count, probability, known, place, link, go, keep,
  };
})();
