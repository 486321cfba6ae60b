// Items of a task by chosen experiments, right or wrong; an item's panel with every answer. State is in the address.
{
  const { element, number, count, known, controls } = regimen;
  const NAME = "items", DEFAULTS = { task: "", experiments: "", show: "", a: "", b: "", text: "", sort: "", item: "" };
  const text = (task, place) => place < 0 ? "" : task.texts[place];
  const value = (score) => score === null ? "" : Number.isInteger(score) ? String(score) : number(score);

  // What a score says: "right" and "wrong" where there is nothing between; else the number.
  function verdict(task, score) {
    if (score === null || score === undefined) return "";
    if (task.graded) return value(score);
    return score === 1 ? "right" : "wrong";
  }
  const better = (task, one, other) => known(one) && known(other) && (task.less ? one < other : one > other);
  function answered(task, end, at) {
    const answer = text(task, end.answer[at]), wrote = text(task, end.text[at]);
    return wrote || answer;
  }
  regimen.answers = { text, verdict, better, answered };

  // Which items are shown. `of` are the chosen end points' answers.
  function filters(task, of, a, b) {
    const all = (test) => (at) => { const scores = of.map((end) => end.score[at]).filter(known); return scores.length > 0 && scores.every(test); };
    const list = [["", "all items", () => true],
      ["ab", task.graded ? "A better than B" : "A right, B wrong", (at) => better(task, a?.score[at], b?.score[at])],
      ["ba", task.graded ? "B better than A" : "B right, A wrong", (at) => better(task, b?.score[at], a?.score[at])],
      ["differ", "answers differ in score", (at) => new Set(of.map((end) => end.score[at]).filter(known)).size > 1]];
    if (!task.less) list.push(["wrong", task.graded ? "all without a point" : "all wrong", all((score) => score === 0)], ["right", task.graded ? "all with full marks" : "all right", all((score) => score === 1)]);
    return list;
  }
  function spread(ends, at) {
    const scores = ends.map((end) => end.score[at]).filter(known), mean = scores.reduce((sum, one) => sum + one, 0) / scores.length;
    return scores.length ? scores.reduce((sum, one) => sum + (one - mean) ** 2, 0) / scores.length : 0;
  }
  const mean = (ends, at) => { const scores = ends.map((end) => end.score[at]).filter(known); return scores.reduce((sum, one) => sum + one, 0) / (scores.length || 1); };

  // Zero-shot, few-shot and the best four, unless the address says otherwise.
  function chosenOf(task, wanted) {
    const ids = wanted.split(",").filter(Boolean), there = new Set(task.ends.map((end) => end.id));
    const own = ids.filter((id) => there.has(id));
    if (own.length === 1 && ids.length === 1 && own[0] !== "zero-shot" && there.has("zero-shot")) return ["zero-shot", ...own];
    if (own.length) return own;
    const base = task.ends.filter((end) => /^(zero|\d+)-shot$/.test(end.id)).map((end) => end.id);
    const best = task.ends.filter((end) => !base.includes(end.id) && known(end.value)).sort((one, other) => (task.less ? 1 : -1) * (one.value - other.value)).slice(0, 4);
    return [...base, ...best.map((end) => end.id)];
  }

  // An item in full.
  function likelihoods(task, at, ends) {
    const with_ = ends.filter((end) => end.logprobs.length && end.logprobs[at].length);
    if (!with_.length) return [];
    const choices = task.choices[at].length ? task.choices[at].map((place) => text(task, place)) : with_[0].logprobs[at].map((_, index) => `choice ${index + 1}`);
    const rows = with_.map((end) => {
      const most = Math.max(...end.logprobs[at]);
      return [end.title, ...end.logprobs[at].map((one) => one === most ? element("b", {}, (one / 100).toFixed(2)) : (one / 100).toFixed(2))];
    });
    return [element("h4", {}, "Log-likelihoods of the choices (nats; the highest is bold)"), controls.table("Log-likelihoods", ["model", ...choices], rows)];
  }
  function panel(task, chosen, at, close, step) {
    const first = new Set(chosen), ends = [...task.ends].sort((one, other) => first.has(other.id) - first.has(one.id));
    const nats = ends.some((end) => end.nats.length && known(end.nats[at]));
    const long = (words, kind = "") => element("td", { class: `left answer ${kind}` }, words);
    const rows = ends.map((end) => {
      const score = end.score[at], says = verdict(task, score), read = text(task, end.answer[at]), wrote = text(task, end.text[at]);
      const notes = [text(task, end.detail[at]), end.truncated.includes(at) ? "the prompt was cut" : "", end.shots ? `after ${end.shots} solved examples` : ""].filter(Boolean).join("; ");
      const body = wrote && read ? [wrote, element("div", { class: "soft" }, `read as: ${read}`)] : [wrote || read || (score === null ? "not scored" : task.metric.includes("bits") ? "" : "(no readable answer)")];
      return [element("th", { scope: "row", class: "left answer", title: `stages/${end.folder}/items.parquet` }, first.has(end.id) ? element("b", {}, end.title) : end.title, element("div", { class: "soft" }, end.id)),
        element("td", { class: `left ${says}` }, says === "right" ? "\u2713 right" : says === "wrong" ? "\u2717 wrong" : says || "not scored"), element("td", { class: "left answer" }, ...body), ...(nats ? [known(end.nats[at]) ? end.nats[at].toFixed(2) : ""] : []), long(notes, "soft")];
    });
    const turn = (by, words) => element("button", { type: "button", on: { click: () => step(by) } }, words);
    return controls.panel(`Item ${task.items[at]}`, close,
      element("h3", {}, task.title, " ", element("span", { class: "soft" }, task.items[at])),
      element("p", { class: "controls" }, turn(-1, "\u2190 previous"), turn(1, "next \u2192"), task.twins.includes(at) ? element("span", { class: "soft" }, "A near twin of this item stands in training rows.") : null),
      element("h4", {}, "Prompt"), element("pre", { class: "prompt", tabindex: "0" }, text(task, task.prompt[at]) || "The prompt is not in the run folder."),
      ...(task.target[at] < 0 ? [] : [element("h4", {}, "Expected"), element("pre", { class: "prompt" }, text(task, task.target[at]))]),
      element("h4", {}, "Answers"), controls.table("Answers", ["model", task.graded ? "score" : "verdict", "answer", ...(nats ? ["nats"] : []), "notes"], rows, nats ? 3 : 4),
      ...likelihoods(task, at, ends));
  }

  function columnsOf(task, of, open) {
    const head = (end) => () => element("span", { title: `${end.title} (${end.id})` }, element("span", { class: "clamp" }, end.title), element("span", { class: "soft cut" }, end.id), element("span", { class: "soft cut" }, `${task.metric} ${number(end.value)}`));
    const short = (words) => words.replace(/\s+/g, " ").slice(0, 200);
    return [{
      field: "at", title: "Item", frozen: true, width: innerWidth < 700 ? 150 : innerWidth < 1100 ? 230 : 380, headerSort: false,
      formatter: (box) => {
        const at = box.getValue(), words = short(text(task, task.prompt[at]));
        const follow = (event) => { if (!event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); open(at); } };
        return element("a", { href: regimen.link(NAME, { task: task.id, item: task.items[at] }), class: "named", title: words, on: { click: follow } }, element("span", {}, words || task.items[at]), element("small", { class: "soft" }, task.items[at]));
      },
    }, {
      field: "expected", title: "Expected", width: 130, headerSort: false,
      formatter: (box) => { const words = text(task, task.target[box.getData().at]); return element("span", { class: "cut", title: words }, short(words)); },
    }, ...of.map((end, place) => ({
      field: `e${place}`, titleFormatter: head(end), minWidth: 132, widthGrow: 1, sorter: (one, other) => (one ?? -1) - (other ?? -1), headerSortStartingDir: "desc",
      formatter: (box) => {
        const at = box.getData().at, score = end.score[at], says = verdict(task, score), words = answered(task, end, at);
        if (!says) return element("span", { class: "none" }, "not scored");
        const mark = says === "right" ? "\u2713" : says === "wrong" ? "\u2717" : says;
        return element("span", { class: `cut ${says}`, title: `${says}: ${words}` }, element("b", {}, mark), element("span", { class: "unseen" }, task.graded ? "" : says), ` ${short(words)}`);
      },
    }))];
  }

  regimen.section(NAME, async (live, given) => {
    const state = { ...DEFAULTS, ...given }, listed = await regimen.data("items");
    const place = Math.max(0, listed.findIndex((one) => one.id === state.task)), about = listed[place];
    const [task, Tabulator] = await Promise.all([regimen.data(`items-${place}`), regimen.library("tabulator")]);
    const chosen = chosenOf(task, state.experiments), named = new Map(task.ends.map((end) => [end.id, end])), of = chosen.map((id) => named.get(id));
    const tell = () => Object.fromEntries(Object.entries(state).filter(([key, one]) => one !== DEFAULTS[key]));
    const draw = (change) => { Object.assign(state, change); regimen.go(NAME, tell()); };
    const keep = (change) => { Object.assign(state, change); regimen.keep(NAME, tell()); };
    const a = named.get(state.a) ?? of[0], b = named.get(state.b) ?? of[1] ?? of[0];
    const choices = filters(task, of, a, b), test = (choices.find(([id]) => id === state.show) ?? choices[0])[2];
    const words = task.items.map((id, at) => [id, text(task, task.prompt[at]), text(task, task.target[at]), ...of.map((end) => answered(task, end, at))].join("\n").toLowerCase());
    let sought = state.text.trim().toLowerCase(), made = null;
    const matches = (row) => test(row.at) && words[row.at].includes(sought);
    const rows = task.items.map((_, at) => Object.fromEntries([["at", at], ["expected", task.target[at]], ...of.map((end, index) => [`e${index}`, end.score[at]])]));
    if (state.sort === "disagreed") rows.sort((one, other) => spread(task.ends, other.at) - spread(task.ends, one.at) || one.at - other.at);
    if (state.sort === "hardest") rows.sort((one, other) => (task.less ? -1 : 1) * (mean(task.ends, one.at) - mean(task.ends, other.at)) || one.at - other.at);
    const told = element("output", { class: "soft", "aria-live": "polite" });
    const tellCount = () => { const seen = rows.filter(matches).length; told.textContent = seen === rows.length ? `${count(rows.length)} items` : `${count(seen)} of ${count(rows.length)} items`; };
    const pick = (label, key, held) => controls.choice(label, of.map((end) => [end.id, end.title]), held?.id, (id) => draw({ [key]: id }));
    const paired = ["ab", "ba"].includes(state.show);
    const absent = state.experiments.split(",").filter((id) => id && !named.has(id));

    // The panel stands beside the table, which stays as it is.
    let opened = null;
    function close() {
      const at = opened?.at;
      opened?.panel.remove();
      opened = null;
      keep({ item: "" });
      const box = at === undefined ? null : made.getRows().find((row) => row.getData().at === at);
      box?.getElement().querySelector("a")?.focus({ preventScroll: true });
    }
    function open(at) {
      opened?.panel.remove();
      const step = (by) => { const seen = made.getRows("active").map((row) => row.getData().at); open(seen[(seen.indexOf(at) + by + seen.length) % seen.length] ?? at); };
      opened = { at, panel: panel(task, chosen, at, close, step) };
      live.append(opened.panel);
      opened.panel.focus({ preventScroll: true });
      keep({ item: task.items[at] });
    }

    const sheet = element("div", { class: "sheet" }), old = live.querySelector(".sheet");
    if (old?.tabulator) old.tabulator.destroy();
    live.replaceChildren(
      element("div", { class: "controls" },
        controls.choice("Task", listed.map((one) => [one.id, one.title]), about.id, (id) => draw({ task: id, item: "", show: "", sort: state.sort })),
        controls.choice("Show", choices.map(([id, label]) => [id, label]), state.show, (show) => draw({ show })),
        ...(paired ? [pick("A", "a", a), pick("B", "b", b)] : []),
        controls.choice("Order", [["", "as in the test set"], ["disagreed", "most disagreed first"], ["hardest", "hardest first"]], state.sort, (sort) => draw({ sort })),
        controls.search("text of prompt or answer", state.text, (given) => { sought = given.trim().toLowerCase(); keep({ text: given }); made.setFilter(matches); tellCount(); }), told),
      controls.picker("Columns", task.ends, chosen, (ids) => draw({ experiments: ids.join(",") })),
      ...(absent.length ? [element("p", { class: "warning" }, `Without answers on this task: ${absent.join(", ")}.`)] : []),
      element("p", { class: "soft note" }, task.graded ? `Numbers are scores of single items${task.less ? "; less is better" : ", from 0 to 1"}. ` : "\u2713 right, \u2717 wrong, and what was answered. ",
        about.carried < about.total ? element("b", {}, `This page carries the ${count(about.carried)} of ${count(about.total)} items on which the models disagree most. `) : "",
        "Click an item for its prompt and every answer. All rows: ", element("code", {}, `stages/evaluate-*/items.parquet`), "."), sheet);
    made = new Tabulator(sheet, {
      data: rows, columns: columnsOf(task, of, open), index: "at", layout: "fitColumns", height: "calc(100vh - 300px)", minHeight: 320, rowHeight: 40, placeholder: "No item matches.",
      columnDefaults: { resizable: false, vertAlign: "middle" }, initialFilter: matches, headerSortTristate: true,
    });
    sheet.tabulator = made;
    made.on("rowClick", (event, row) => { if (!event.target.closest("a")) open(row.getData().at); });
    tellCount();
    await new Promise((built) => { made.on("tableBuilt", built); });
    controls.edge(sheet);
    const at = state.item ? task.items.indexOf(state.item) : -1;
    if (at >= 0) open(at);
  });
}
