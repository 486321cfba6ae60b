// The table of all scores: modes, filters, sorting, columns and downloads; an experiment's panel. State is in the address.
{
  const { element, number, signed, count, probability, known, controls } = regimen;
  const NAME = "results", OWN = { title: "Experiment", strategy: "Strategy", mixture: "Mixture", steps: "Steps", hours: "GPU-hours", mean: "Mean change" };
  const DEFAULTS = { show: "both", interval: "", metric: "", group: "", sort: "", columns: "", strategy: "", text: "", experiment: "" };

  function tint(change, largest, steps) {
    const step = known(change) ? Math.max(-steps, Math.min(steps, Math.round((steps * change) / largest))) : 0;
    return step ? `t${step}` : "";
  }
  const hours = (value) => !known(value) ? "" : value < 0.1 ? value.toFixed(3) : value < 10 ? value.toFixed(2) : value.toFixed(1);
  const span = (low, high, write) => known(low) && known(high) ? `${write(low)} to ${write(high)}` : "";

  // One cell's numbers: the chosen metric of a task, for the row at place `at`.
  function cell(table, task, at, wanted) {
    const metric = wanted && task.metrics.some((one) => one.name === wanted) ? wanted : task.metrics[0].name;
    if (wanted && metric !== wanted) return null;
    const scores = table.scores[task.id][metric], made = { metric };
    for (const key of ["value", "low", "high", "n", "change", "change_low", "change_high", "p", "alone", "why"]) made[key] = scores[key][at];
    made.clear = known(made.p) && made.p <= table.alpha;
    return made;
  }
  function shown(one, state) { // the lines of a cell
    if (!one) return [];
    if (!known(one.value)) return one.why ? [one.why.split(":")[0]] : [];
    const score = number(one.value), change = known(one.change) ? signed(one.change) + (one.clear ? "*" : "") : "";
    const lines = state.show === "score" ? [score + (one.clear ? "*" : "")] : state.show === "difference" ? [change] : [score, change];
    if (!state.interval) return lines;
    return lines.flatMap((line, index) => {
      const isScore = state.show === "score" || (state.show === "both" && index === 0);
      const ends = isScore ? span(one.low, one.high, number) : span(one.change_low, one.change_high, signed);
      return ends ? [line, ends] : [line];
    });
  }
  function says(one, title) {
    if (!one) return "";
    if (!known(one.value)) return one.why;
    const parts = [`${title}: ${one.metric} ${number(one.value)}`];
    if (known(one.low)) parts.push(`95% interval ${span(one.low, one.high, number)}`);
    if (known(one.n)) parts.push(`${count(one.n)} items`);
    if (known(one.change)) parts.push(`change ${signed(one.change)} (${span(one.change_low, one.change_high, signed)})`);
    if (known(one.p)) parts.push(`p ${probability(one.p)}, corrected`);
    return parts.join("; ");
  }

  // The runs of a recipe fold away behind its row, as its children.
  function rowsOf(table, state) {
    const rows = table.rows.map((row, at) => {
      const made = { ...row, at };
      for (const task of table.tasks) made[`t:${task.id}`] = cell(table, task, at, state.metric);
      return made;
    });
    for (const row of rows) if (row.runs) row._children = rows.filter((one) => one.of === row.id);
    return rows.filter((row) => !row.of);
  }
  const ordered = (read) => (a, b, rowA, rowB, column, direction) => { // what is missing stands last either way
    const one = read(a), other = read(b);
    if (!known(one) || !known(other)) return (known(other) - known(one)) * (direction === "asc" ? 1 : -1);
    return one - other;
  };
  const plain = (words, kind = "") => element("span", { class: kind, title: words }, words);

  const longest = (words) => Math.max(...words.split(/[\s-]+/).map((word) => word.length)); // letters of a heading that must fit
  function columnsOf(table, state, largest, hidden) {
    const head = (words, under = "") => () => under ? element("span", {}, words, element("br"), element("span", { class: "soft" }, under)) : element("span", {}, words);
    const measured = (one) => !one ? null : state.show === "difference" ? one.change : one.value;
    const columns = [{
      field: "title", titleFormatter: head("Experiment"), frozen: true, width: innerWidth < 700 ? 150 : 222,
      formatter: (box) => {
        const row = box.getData();
        if (row.pinned) return element("b", { class: "cut", title: `${row.title}: ${row.strategy}` }, row.title);
        return element("a", { href: regimen.link(NAME, { ...state, experiment: row.id }), class: "named", title: row.title }, element("span", {}, row.of ? `seed ${row.seed}` : row.title), element("small", { class: "soft" }, row.runs ? `${row.id}, mean of ${row.runs} runs` : row.id));
      },
    }];
    const add = (field, width, formatter, extra = {}) => columns.push({ field, titleFormatter: head(OWN[field]), width, formatter, visible: !hidden.has(field), ...extra });
    add("strategy", 104, (box) => plain(box.getValue(), "soft words"));
    add("mixture", 220, (box) => plain(box.getValue(), "soft words"));
    const right = { hozAlign: "right", headerHozAlign: "right" };
    add("steps", 62, (box) => known(box.getValue()) ? count(box.getValue()) : "", { ...right, sorter: ordered((value) => value) });
    add("hours", 62, (box) => hours(box.getValue()), { ...right, sorter: ordered((value) => value) });
    add("mean", state.interval ? 120 : 74, (box) => {
      const row = box.getData();
      if (!known(row.mean)) return "";
      const lines = [signed(row.mean), ...(state.interval ? [span(row.mean_low, row.mean_high, signed)] : [])];
      box.getElement().classList.add(...[tint(row.mean, largest, table.steps)].filter(Boolean));
      return element("span", { title: `mean change ${signed(row.mean)} (${span(row.mean_low, row.mean_high, signed)})` }, ...lines.flatMap((line, at) => at ? [element("br"), element("small", {}, line)] : [line]));
    }, { ...right, sorter: ordered((value) => value), minWidth: state.interval ? 120 : 74 });
    for (const task of table.tasks) {
      const about = task.metrics.find((one) => one.name === (state.metric || task.metrics[0].name));
      if (!about) continue;
      columns.push({
        field: `t:${task.id}`, titleFormatter: head(task.title, about.name + (about.lower ? " (less is better)" : "")), minWidth: state.interval ? 128 : Math.max(76, 17 + 6.5 * longest(task.title)), widthGrow: 1,
        ...right, sorter: ordered(measured), visible: !hidden.has(`t:${task.id}`),
        formatter: (box) => {
          const one = box.getValue(), lines = shown(one, state);
          if (one) box.getElement().classList.add(...[known(one.value) ? tint(one.change, largest, table.steps) : "none", one.clear ? "clear" : ""].filter(Boolean));
          return element("span", { title: says(one, task.title) }, ...lines.flatMap((line, at) => at ? [element("br"), element("small", {}, line)] : [line]));
        },
      });
    }
    return columns;
  }

  // What is shown, as rows of texts: for CSV and LaTeX.
  function grid(made, state) {
    const columns = made.getColumns().filter((column) => column.isVisible() && column.getField());
    const heads = columns.flatMap((column) => {
      const field = column.getField(), name = field.startsWith("t:") ? field.slice(2) : field;
      if (field === "title") return ["experiment", "title"];
      if (field === "mean") return state.interval ? ["mean change", "low", "high"] : ["mean change"];
      if (!field.startsWith("t:")) return [OWN[field].toLowerCase()];
      const parts = state.show === "score" ? [""] : state.show === "difference" ? [" change"] : ["", " change"];
      return parts.flatMap((part) => state.interval ? [name + part, `${name}${part} low`, `${name}${part} high`] : [name + part]);
    });
    const text = (value) => known(value) ? String(value) : "";
    const open = (row) => row.getData()._children && row.isTreeExpanded() ? [row, ...row.getTreeChildren()] : [row];
    const lines = [...made.getRows().filter((row) => row.isFrozen()), ...made.getRows("active").filter((row) => !row.isFrozen()).flatMap(open)].map((row) => {
      const data = row.getData();
      return columns.flatMap((column) => {
        const field = column.getField(), value = data[field];
        if (field === "title") return [data.id, data.title];
        if (field === "mean") return state.interval ? [data.mean, data.mean_low, data.mean_high].map(text) : [text(data.mean)];
        if (!field.startsWith("t:")) return [value === null || value === undefined ? "" : String(value)];
        const one = value || {}, score = [one.value, one.low, one.high], change = [one.change, one.change_low, one.change_high];
        const parts = state.show === "score" ? [score] : state.show === "difference" ? [change] : [score, change];
        return parts.flatMap((part) => (state.interval ? part : part.slice(0, 1)).map(text));
      });
    });
    return [heads, ...lines];
  }
  // A spreadsheet would carry out a cell that begins with one of these.
  const guarded = (text) => /^[=+\-@\t\r]/.test(text) && !known(Number(text)) ? `'${text}` : text;
  const csv = (rows) => rows.map((row) => row.map((text) => /[",\n\r]/.test(guarded(text)) ? `"${guarded(text).replaceAll('"', '""')}"` : guarded(text)).join(",")).join("\n") + "\n";
  const LATEX = { "\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", $: "\\$", "#": "\\#", _: "\\_", "{": "\\{", "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}" };
  const tex = (text) => text.replace(/[\\&%$#_{}~^<>]/g, (letter) => LATEX[letter]);
  function latex(rows) {
    const numbers = rows[0].map((_, at) => rows.slice(1).every((row) => row[at] === "" || known(Number(row[at]))));
    const short = (text, at) => numbers[at] && text !== "" && !Number.isInteger(Number(text)) ? Number(text).toFixed(3) : tex(text);
    const lines = rows.map((row) => row.map(short).join(" & ") + " \\\\");
    return ["% Needs \\usepackage{booktabs}.", `\\begin{tabular}{${numbers.map((one) => one ? "r" : "l").join("")}}`, "\\toprule", lines[0], "\\midrule", ...lines.slice(1), "\\bottomrule", "\\end{tabular}", ""].join("\n");
  }
  function save(name, text) {
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // Controls.
  function buttons(label, options, chosen, take) {
    return element("span", { class: "switch", role: "group", "aria-label": label }, ...options.map(([value, words]) =>
      element("button", { type: "button", "aria-pressed": String(value === chosen), on: { click: () => take(value) } }, words)));
  }

  function panel(table, recipes, id, state) {
    const at = table.rows.findIndex((row) => row.id === id && !row.runs), row = table.rows[at], recipe = recipes[id];
    if (!row || !recipe) return null;
    const close = () => regimen.go(NAME, { ...state, experiment: "" });
    const to = (name) => element("a", { href: regimen.link(NAME, { ...state, experiment: name }) }, name);
    const fact = (what, value) => element("span", { class: "fact" }, element("span", { class: "soft" }, what), " ", value);
    const head = (...words) => element("thead", {}, element("tr", {}, ...words.map((word) => element("th", { scope: "col", class: /^(kind|source|task|metric)$/.test(word) ? "left" : "" }, word))));
    const share = (value) => known(value) ? `${Number((100 * value).toPrecision(3))}%` : "not yet";
    const line = (cells, kinds = {}) => element("tr", {}, ...cells.map((words, index) => element("td", { class: kinds[index] || "" }, words)));
    const legs = element("table", {}, head("leg", "kind", "steps", "source", "of sequences", "of tokens", "of loss tokens", "epochs of it", "loss at the end"),
      element("tbody", {}, ...recipe.legs.map((leg) => line([leg.leg, leg.kind, count(leg.steps), leg.source, share(leg.share), share(leg.tokens), share(leg.loss_tokens), number(leg.epochs, 2), number(leg.loss)], { 1: "left", 3: "left" }))));
    const twins = table.tasks.some((task) => task.metrics.some((one) => known(table.scores[task.id][one.name].alone[at])));
    const scores = table.tasks.flatMap((task) => task.metrics.map((about, index) => {
      const one = cell(table, task, at, about.name);
      if (!known(one.value)) return one.why && index === 0 ? line([task.title, about.name, one.why, "", "", ...(twins ? [""] : []), "", "", ""], { 0: "left", 1: "left", 2: "none" }) : null;
      return line([index ? task.title : element("b", {}, task.title), about.name + (about.lower ? " (less is better)" : ""), number(one.value), span(one.low, one.high, number), count(one.n),
        ...(twins ? [known(one.alone) ? number(one.alone) : ""] : []), known(one.change) ? signed(one.change) + (one.clear ? "*" : "") : "", span(one.change_low, one.change_high, signed), known(one.p) ? probability(one.p) : ""], { 0: "left", 1: "left" });
    })).filter(Boolean);
    return controls.panel(row.title, close,
      element("h3", {}, row.title, " ", element("span", { class: "soft" }, id)),
      element("p", {}, fact("state", recipe.state), fact("strategy", row.strategy), fact("mean change", known(row.mean) ? `${signed(row.mean)} (${span(row.mean_low, row.mean_high, signed)})` : "not yet"), ...recipe.facts.map(([what, value]) => fact(what, value)), ...recipe.links.map(([what, name]) => fact(what, to(name)))),
      element("p", { class: "controls" }, ...["items", "curves", "compare"].filter((name) => document.getElementById(name)).map((name) => element("a", { href: regimen.link(name, name === "compare" ? { a: id } : { experiments: id }) }, { items: "Its answers, item by item", curves: "Its training curve", compare: "Compare with another" }[name]))),
      element("h4", {}, "Recipe"), element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Recipe" }, legs),
      element("h4", {}, "Scores"), element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Scores" },
        element("table", {}, head("task", "metric", "score", "95% interval", "items", ...(twins ? ["without near twins"] : []), "change", "95% interval", "p, corrected"), element("tbody", {}, ...scores))),
      element("h4", {}, "Training stages"), element("p", { class: "soft" }, ...recipe.stages.flatMap(([folder, did]) => [element("code", {}, folder), `: ${did}`, element("br")])));
  }

  regimen.section(NAME, async (live, given) => {
    const [table, recipes, Tabulator] = await Promise.all([regimen.data("results"), regimen.data("recipes"), regimen.library("tabulator")]);
    const state = { ...DEFAULTS, ...given };
    const tell = () => Object.fromEntries(Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key]));
    const draw = (change) => { Object.assign(state, change); regimen.go(NAME, tell()); };
    const standing = ["mixture", ...table.tasks.filter((task) => task.panel !== "main").map((task) => `t:${task.id}`)];
    const flipped = new Set(state.columns.split(",").filter(Boolean));
    const all = [...Object.keys(OWN).slice(1), ...table.tasks.map((task) => `t:${task.id}`)];
    const hidden = new Set(all.filter((field) => standing.includes(field) !== flipped.has(field)));
    const rows = rowsOf(table, state);
    const largest = Math.max(1e-9, ...rows.flatMap((row) => table.tasks.filter((task) => task.panel === "main").map((task) => Math.abs(row[`t:${task.id}`]?.change ?? 0)))) || 1;
    const strategies = [...new Set(rows.filter((row) => !row.pinned).map((row) => row.strategy))];
    const metrics = [...new Set(table.tasks.flatMap((task) => task.metrics.map((one) => one.name)))].sort();
    const matches = (row) => row.pinned || ((!state.strategy || row.strategy === state.strategy) && [row, ...(row._children ?? [])].map((one) => `${one.title} ${one.id} ${one.mixture}`).join(" ").toLowerCase().includes(state.text.toLowerCase()));
    const told = element("output", { class: "soft", "aria-live": "polite" });
    const what = rows.some((row) => row._children) ? "recipes" : "experiments";
    let made = null;
    const tellCount = () => { const of = rows.filter((row) => !row.pinned), seen = of.filter(matches).length; told.textContent = seen === of.length ? `${of.length} ${what}` : `${seen} of ${of.length} ${what}`; };
    const keep = (change) => { Object.assign(state, change); regimen.keep(NAME, tell()); };
    const box = element("input", { type: "search", placeholder: "name, id or source", value: state.text, "aria-label": "Filter experiments", autocomplete: "off", on: { input: () => { keep({ text: box.value.trim() }); made.setFilter(matches); tellCount(); } } });
    const chooser = element("details", { class: "chooser" }, element("summary", {}, "Columns"), element("div", {}, ...all.map((field) => element("label", {}, element("input", { type: "checkbox", checked: !hidden.has(field), on: { change: (event) => {
      if (flipped.has(field)) flipped.delete(field); else flipped.add(field);
      keep({ columns: [...flipped].join(",") });
      if (event.target.checked) made.showColumn(field); else made.hideColumn(field);
    } } }), " ", OWN[field] || table.tasks.find((task) => `t:${task.id}` === field).title))));
    const place = element("div", { class: "sheet" });
    const bar = element("span", { class: "scale", "aria-label": `Colour: change against zero-shot, from ${signed(-largest, 2)} to ${signed(largest, 2)}` }, signed(-largest, 2),
      ...Array.from({ length: 2 * table.steps + 1 }, (_, at) => element("i", { class: at === table.steps ? "" : `t${at - table.steps}` })), signed(largest, 2));
    const switches = element("div", { class: "controls" },
      buttons("Show", [["score", "Score"], ["difference", "Difference"], ["both", "Both"]], state.show, (show) => draw({ show })),
      element("label", {}, element("input", { type: "checkbox", checked: Boolean(state.interval), on: { change: (event) => draw({ interval: event.target.checked ? "95" : "" }) } }), " 95% intervals"),
      controls.choice("Metric", [["", "headline of each task"], ...metrics.map((name) => [name, name])], state.metric, (metric) => draw({ metric })),
      controls.choice("Group by", [["", "nothing"], ["strategy", "strategy"], ["phase", "phase"], ["mixture", "mixture"]], state.group, (group) => draw({ group })),
      controls.choice("Strategy", [["", "all"], ...strategies.map((name) => [name, name])], state.strategy, (strategy) => { keep({ strategy }); made.setFilter(matches); tellCount(); }),
      box, chooser,
      element("button", { type: "button", on: { click: () => save("results-shown.csv", csv(grid(made, state))) } }, "CSV"),
      element("button", { type: "button", on: { click: () => save("results-shown.tex", latex(grid(made, state))) } }, "LaTeX"), told, bar);
    const old = live.querySelector(".sheet");
    if (old && old.tabulator) old.tabulator.destroy();
    live.replaceChildren(switches, element("p", { class: "soft note" }, "Differences are against zero-shot, turned so that up is better; an asterisk marks what is clear after correction over all cells. The first rows need no training and stay in sight. Click a name for its recipe and every metric."), place);
    const columns = columnsOf(table, state, largest, hidden);
    const [, by = "", direction = ""] = state.sort.match(/^(.*):(asc|desc)$/) || []; // a task's own field holds a colon
    made = new Tabulator(place, {
      data: rows, columns, index: "at", dataTree: rows.some((row) => row._children), dataTreeFilter: false, dataTreeChildIndent: 12, dataTreeStartExpanded: false, layout: "fitColumns", height: "calc(100vh - 260px)", minHeight: 320, columnHeaderSortMulti: false, rowHeight: state.interval ? (state.show === "both" ? 78 : 52) : 52,
      frozenRows: (row) => row.getData().pinned, movableColumns: false, headerSortTristate: true, placeholder: "No experiment matches.",
      columnDefaults: { headerSortStartingDir: "desc", resizable: false, vertAlign: "middle" }, initialFilter: matches, initialSort: by && columns.some((one) => one.field === by) ? [{ column: by, dir: direction }] : [],
      ...(state.group ? { groupBy: state.group, groupHeader: (value, held) => element("span", {}, `${state.group === "phase" ? "Phase " : ""}${value} `, element("span", { class: "soft" }, `${held}`)) } : {}),
    });
    place.tabulator = made;
    made.on("headerClick", () => setTimeout(() => { const [first] = made.getSorters(); keep({ sort: first ? `${first.field}:${first.dir}` : "" }); }));
    tellCount();
    await new Promise((built) => { made.on("tableBuilt", built); });
    controls.edge(place);
    if (state.experiment) {
      const opened = panel(table, recipes, state.experiment, tell());
      if (opened) { live.append(opened); opened.focus({ preventScroll: true }); }
    }
  });
}
