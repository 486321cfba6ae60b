// Two experiments side by side: recipes, differences by task, losses, the items that flipped. State is in the address.
{
  const { element, number, signed, count, probability, known, controls } = regimen;
  const NAME = "compare", DEFAULTS = { a: "", b: "", task: "", show: "", by: "step", smooth: "0.6" };
  const CHOICES = { show: ["", "ab", "ba"], by: ["step", "tokens", "hours"] };
  const WIDE = 300, EDGE = 12, MOST = 30; // pixels of a row's picture and of its margins; flipped items that are listed
  const FLIPPED = { better: "worse", worse: "better" };
  const drawn = (name, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // The difference of A over B on a task, up is better: as tested, else as Results has it, else by its standard error.
  function difference(pairs, results, task, a, b) {
    const [one, other] = [a, b].map((id) => pairs.ends.findIndex((end) => end.id === id)), values = [task.values[one], task.values[other]];
    const found = { task, a: values[0], b: values[1] };
    const tested = pairs.tested.find((each) => each.task === task.id && each.a === a && each.b === b), turned = pairs.tested.find((each) => each.task === task.id && each.a === b && each.b === a);
    if (tested) return { ...found, ...tested, task, a: values[0], b: values[1] };
    if (turned) return { ...found, ...turned, task, a: values[0], b: values[1], difference: -turned.difference, low: -turned.high, high: -turned.low, outcome: FLIPPED[turned.outcome] ?? turned.outcome };
    const why = task.why || values.map((value, at) => known(value) ? "" : `no score of ${at ? "B" : "A"}`).filter(Boolean).join(", ") || (task.kinds.length && task.kinds[one] !== task.kinds[other] ? `not compared: ${task.unlike}` : "");
    if (why) return { ...found, why };
    const shown = { ...found, difference: (task.less ? -1 : 1) * (values[0] - values[1]) };
    const cell = held(pairs, results, task, one, other, 1) ?? held(pairs, results, task, other, one, -1);
    if (cell) return { ...shown, ...cell };
    const [first, second] = one < other ? [one, other] : [other, one], width = task.widths[first]?.[second - first - 1];
    return known(width) ? { ...shown, low: shown.difference - width * task.fine, high: shown.difference + width * task.fine, rough: true } : { ...shown, rough: true };
  }
  // An experiment against its base as it is: the same numbers as in Results.
  function held(pairs, results, task, one, other, sign) {
    if (!results || pairs.ends[one].reference !== pairs.ends[other].id) return null;
    const column = results.scores[task.id]?.[task.metric], at = results.rows.findIndex((row) => row.id === pairs.ends[one].id);
    if (!column || at < 0 || !known(column.change_low[at])) return null;
    const ends = [sign * column.change_low[at], sign * column.change_high[at]].sort((x, y) => x - y), p = column.p[at], up = sign * column.change[at] > 0;
    return { low: ends[0], high: ends[1], p, outcome: known(p) && p <= results.alpha ? (up ? "better" : "worse") : "undecided", by: "Results, corrected over all its cells" };
  }

  // One row's interval on the axis of its unit, which reaches from -far to far.
  function picture(row, far) {
    const x = (value) => WIDE / 2 + Math.max(-1, Math.min(1, value / far)) * (WIDE / 2 - EDGE), kind = `o-${row.outcome ?? "undecided"}`;
    const says = `${row.task.title}: ${signed(row.difference)}${known(row.low) ? `, interval ${signed(row.low)} to ${signed(row.high)}` : ""}`;
    return drawn("svg", { viewBox: `0 0 ${WIDE} 20`, width: WIDE, height: 20, role: "img", "aria-label": says },
      drawn("title", {}, says), drawn("line", { class: "grid", x1: x(0), x2: x(0), y1: 0, y2: 20 }),
      ...(known(row.low) ? [drawn("line", { class: kind, x1: x(row.low), x2: x(row.high), y1: 10, y2: 10 })] : []), drawn("circle", { class: kind, cx: x(row.difference), cy: 10, r: 4 }));
  }
  function axis(far, unit) {
    const words = (x, anchor, text) => drawn("text", { class: "soft", x, y: 12, "text-anchor": anchor }, text);
    return drawn("svg", { viewBox: `0 0 ${WIDE} 30`, width: WIDE, height: 30, "aria-hidden": "true" }, words(EDGE, "start", signed(-far, 2)), words(WIDE / 2, "middle", "0"), words(WIDE - EDGE, "end", signed(far, 2)), drawn("text", { class: "soft", x: WIDE / 2, y: 27, "text-anchor": "middle" }, unit));
  }
  function forest(rows, command) {
    const families = new Set(rows.map((row) => row.by).filter(Boolean)), together = families.size === 1 ? [...families][0] : null; // one correction for all p
    const lines = [], units = [...new Set(rows.map((row) => row.task.unit))];
    const plain = (words, kind = "") => element("td", { class: kind }, words);
    for (const unit of units) {
      const own = rows.filter((row) => row.task.unit === unit), ends = own.flatMap((row) => [row.difference, row.low, row.high]).filter(known);
      const far = Math.max(...ends.map(Math.abs), 1e-9) * 1.05;
      for (const row of own) {
        const head = element("th", { scope: "row", class: "left answer" }, row.task.title, " ", element("span", { class: "soft" }, row.task.metric + (row.task.less ? " (less is better)" : "")));
        const scores = [known(row.a) ? number(row.a) : "", known(row.b) ? number(row.b) : ""].map((words) => plain(words));
        if (row.why) { lines.push([head, ...scores, element("td", { class: "left none", colspan: 5 }, row.why)]); continue; }
        const clear = row.outcome === "better" || row.outcome === "worse", shown = clear ? element("b", {}, signed(row.difference)) : signed(row.difference);
        const missed = row.outcome === "undecided" && known(row.mde) ? `; may miss ${number(row.mde)}` : "";
        const says = row.rough ? (known(row.low) ? "not tested" : "no interval in this page") : `${row.outcome}, p ${probability(row.p)}${missed}`;
        lines.push([head, ...scores, plain(shown), plain(picture(row, far)), plain(known(row.low) ? `${row.approximate ? "about " : ""}${signed(row.low)} to ${signed(row.high)}` : ""), plain(says, "left"), plain([row.test, together ? "" : row.by, row.runs?.some((runs) => runs > 1) ? `means of ${row.runs[0]} and ${row.runs[1]} runs` : ""].filter(Boolean).join("; "), "left soft")]);
      }
      if (ends.length) lines.push([element("th", { scope: "row", class: "unseen" }, "axis"), plain(""), plain(""), plain(""), plain(axis(far, unit)), plain(""), plain(""), plain("")]);
    }
    const rough = rows.some((row) => row.rough && known(row.low)), without = rows.some((row) => row.rough && !known(row.low));
    const notes = [rough ? "\"Not tested\": the interval is that of the bootstrap's standard error over these items, each task by itself; no test was declared for this pair. " : "", without ? "Some pairs of a long study have no interval in the page. " : ""];
    const left = (words) => element("th", { scope: "col", class: "left" }, words), noted = rows.filter((row) => row.note);
    return [controls.table("Differences by task", ["task", "A", "B", "A - B", element("th", { scope: "col", class: "middle" }, "B better | A better"), "95% interval", left("outcome"), left("test")], lines),
      element("p", { class: "soft note" }, "Differences are turned so that up is better, and speak of these runs alone where nothing else is written. ", together ? `p: ${together}. ` : "", ...notes, ...(rough || without ? ["All tests of this pair: ", element("code", {}, command), "."] : [])),
      ...(noted.length ? [element("details", {}, element("summary", {}, `Notes on ${count(noted.length)} of these intervals and tests`), element("ul", {}, ...noted.map((row) => element("li", {}, `${row.task.title}: ${row.note}`))))] : [])];
  }

  const RANKS = [/^base$/, /^strategy$/, /^leg /, /^learning rate$/, /^rows$/, /^adapter/, /^batch/, /^schedule/, /^seeds?$/, /^GPU-hours$/];
  function recipes(one, other) {
    const [own, others] = [one, other].map((end) => new Map(end.settings)), rank = (field) => RANKS.findIndex((each) => each.test(field));
    const fields = [...new Set([...own.keys(), ...others.keys()])].filter((field) => own.get(field) !== others.get(field)).sort((x, y) => rank(x) - rank(y) || (x < y ? -1 : 1));
    if (!fields.length) return [element("p", {}, "The recipes are the same.")];
    const words = (text) => element("td", { class: "left long" }, text ?? "");
    const table = (kept) => controls.table("Recipes: what differs", ["field", "A", "B"], kept.map((field) => [field, words(own.get(field)), words(others.get(field))]), 3);
    const lone = !one.settings.some(([field]) => field === "leg 1") || !other.settings.some(([field]) => field === "leg 1"); // one side trains nothing
    const fine = lone ? fields.filter((field) => field.includes(".")) : [];
    return [table(fields.filter((field) => !fine.includes(field))), ...(fine.length ? [element("details", {}, element("summary", {}, `${count(fine.length)} settings of the side that trains`), table(fine))] : [])];
  }

  // The items on which the two differ: a line a task, and the items of one.
  function flips(task, a, b) {
    const { better } = regimen.answers, [one, other] = [a, b].map((id) => task.ends.find((end) => end.id === id));
    if (!one || !other) return null;
    const found = { one, other, ab: [], ba: [], same: 0 };
    task.items.forEach((_, at) => {
      if (better(task, one.score[at], other.score[at])) found.ab.push(at);
      else if (better(task, other.score[at], one.score[at])) found.ba.push(at);
      else if (known(one.score[at]) && known(other.score[at])) found.same += 1;
    });
    return found;
  }
  function flipped(task, found, show, titles) {
    const { text, verdict, answered } = regimen.answers, listed = found[show];
    const answer = (end, at) => { const says = verdict(task, end.score[at]); return element("td", { class: "left answer" }, element("b", { class: says }, says === "right" ? "\u2713" : says === "wrong" ? "\u2717" : says), element("span", { class: "clamp" }, answered(task, end, at))); };
    const to = (item) => regimen.link("items", { task: task.id, experiments: `${found.one.id},${found.other.id}`, a: found.one.id, b: found.other.id, show, item });
    const rows = listed.slice(0, MOST).map((at) => [
      element("th", { scope: "row", class: "left answer" }, element("a", { href: to(task.items[at]), title: text(task, task.prompt[at]) }, element("span", { class: "clamp" }, text(task, task.prompt[at]) || task.items[at])), element("small", { class: "soft" }, task.items[at])),
      element("td", { class: "left answer" }, element("span", { class: "clamp" }, text(task, task.target[at]))), answer(found.one, at), answer(found.other, at)]);
    return [element("p", { class: "note" }, `${task.title}, ${titles[show]}: ${count(listed.length)} items${listed.length > MOST ? `, the first ${MOST} of them here` : ""}. `, element("a", { href: to("") }, "All in Items")),
      ...(rows.length ? [controls.table("Items that flipped", ["item", "expected", "A answered", "B answered"], rows, 4)] : [])];
  }

  let redraw = null, turn = 0;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw?.());

  regimen.section(NAME, async (live, given) => {
    const mine = (turn += 1), state = { ...DEFAULTS, ...given }, pairs = await regimen.data("compare"), results = regimen.has("results") ? await regimen.data("results") : null;
    const named = new Map(pairs.ends.map((end) => [end.id, end]));
    for (const [key, allowed] of Object.entries(CHOICES)) if (!allowed.includes(state[key])) state[key] = DEFAULTS[key]; // an address is what somebody typed
    const absent = [state.a, state.b].filter((id) => id && !named.has(id));
    const a = named.has(state.a) ? state.a : pairs.first.find((id) => id !== state.b) ?? pairs.first[0], b = named.has(state.b) ? state.b : pairs.first.find((id) => id !== a) ?? pairs.first[1];
    const tell = () => Object.fromEntries(Object.entries({ ...state, a, b }).filter(([key, one]) => one !== DEFAULTS[key]));
    const draw = (change) => { const next = { ...tell(), ...change }; regimen.go(NAME, Object.fromEntries(Object.entries(next).filter(([key, one]) => one !== DEFAULTS[key]))); };
    const options = pairs.ends.map((end) => [end.id, `${end.title} (${end.id})`]);
    const name = (letter, id) => element("p", { class: "side" }, element("b", { class: "letter" }, letter), element("i", { class: "swatch", style: { background: regimen.lossColour?.(letter === "A" ? 0 : 1) ?? "" } }), named.get(id).title, " ", element("span", { class: "soft" }, id));
    const rows = pairs.tasks.map((task) => difference(pairs, results, task, a, b)).filter((row) => known(row.a) || known(row.b) || row.task.why);
    const many = pairs.ends.length > 2, command = `regimen compare ${a} ${b} --run OUT`;
    const place = element("div", { class: "plot" }), counted = element("div", {}), list = element("div", {});
    live.replaceChildren(
      ...(many ? [] : [element("h1", {}, `${a} and ${b}`)]), element("div", { class: "controls" }, ...(many ? [controls.choice("A", options, a, (id) => draw({ a: id })), controls.choice("B", options, b, (id) => draw({ b: id }))] : []), element("button", { type: "button", on: { click: () => draw({ a: b, b: a, show: { ab: "ba", ba: "ab" }[state.show] ?? "" }) } }, "Swap A and B")),
      ...(absent.length ? [element("p", { class: "warning" }, `Not in this page: ${absent.join(", ")}.`)] : []),
      name("A", a), name("B", b),
      element("h3", {}, "Recipes: what differs"), ...recipes(named.get(a), named.get(b)),
      element("h3", {}, "Differences by task"), ...forest(rows, command));

    const curves = regimen.has("curves") ? (await regimen.data("curves")).curves : [], of = [a, b].map((id) => curves.find((curve) => curve.id === id)).filter(Boolean);
    redraw = of.length ? () => regimen.drawLosses(place, [a, b].map((id) => curves.find((curve) => curve.id === id) ?? null), { ...state, height: 320 }) : null;
    if (mine !== turn) return;
    if (of.length) {
      const slider = element("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: state.smooth, on: { input: () => { state.smooth = slider.value; regimen.keep(NAME, tell()); redraw(); } } });
      live.append(element("h3", {}, "Losses"), element("div", { class: "controls" }, controls.choice("By", [["step", "step"], ["tokens", "tokens"], ["hours", "hours"]], state.by, (by) => { state.by = by; regimen.keep(NAME, tell()); redraw(); }), element("label", {}, "Smoothing ", slider),
        ...(document.getElementById("curves") ? [element("a", { href: regimen.link("curves", { experiments: of.map((curve) => curve.id).join(",") }) }, "In Curves")] : [])), place);
      await redraw();
    }
    if (!regimen.has("items")) return;

    live.append(element("h3", {}, "Items that flipped"), counted, list);
    const listed = await regimen.data("items"), lines = [];
    let most = null, chosen = null;
    for (const [at, about] of listed.entries()) {
      const task = await regimen.data(`items-${at}`), found = flips(task, a, b);
      if (mine !== turn) return; // the reader has moved on
      if (!found) continue;
      const titles = task.graded ? { ab: "A better than B", ba: "B better than A" } : { ab: "A right, B wrong", ba: "B right, A wrong" };
      const one = { task, found, titles };
      const flippedMost = (each) => (each.task.less ? 0 : 1e9) + Math.max(each.found.ab.length, each.found.ba.length); // right and wrong tell more than a measure
      if (about.id === state.task) chosen = one;
      if (!most || flippedMost(one) > flippedMost(most)) most = one;
      const pick = (show) => element("td", {}, found[show].length ? element("a", { href: regimen.link(NAME, { ...tell(), task: task.id, show }) }, count(found[show].length)) : "0");
      lines.push([task.title, pick("ab"), pick("ba"), count(found.same), about.carried < about.total ? element("b", {}, `${count(about.carried)} of ${count(about.total)}`) : count(about.total)]);
    }
    const cut = listed.some((about) => about.carried < about.total);
    counted.replaceChildren(...(lines.length ? [controls.table("Flipped items by task", ["task", "A right (or better), B not", "B right (or better), A not", "alike", "items in this page"], lines),
      ...(cut ? [element("p", { class: "warning" }, "The page carries the items on which all models disagree most, so these counts are of those alone. All rows: stages/evaluate-*/items.parquet.")] : [])] : [element("p", { class: "soft" }, "No task has answers of both.")]));
    most = chosen ?? most;
    if (most) list.replaceChildren(...flipped(most.task, most.found, state.show || (most.found.ab.length >= most.found.ba.length ? "ab" : "ba"), most.titles));
  });
}
