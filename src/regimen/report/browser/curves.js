// Losses of chosen experiments and their validation points, by step, tokens or hours. State is in the address.
{
  const { element, number, count, known, controls } = regimen;
  const NAME = "curves", DEFAULTS = { experiments: "", by: "step", smooth: "0.6", scale: "", experiment: "" };
  const AXES = { step: "steps, over all legs", tokens: "tokens trained on", hours: "hours on this run's machine" };
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]], COLOURS = 8;
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Where a step lies on the chosen axis; null past the last finished stage.
  function at(curve, by, step) {
    if (by === "step") return step;
    let before = { step: 0, tokens: 0, hours: 0 };
    for (const end of curve.ends) {
      if (step <= end.step) return before[by] + (end[by] - before[by]) * (step - before.step) / Math.max(1, end.step - before.step);
      before = end;
    }
    return null;
  }
  // An exponential moving average that does not lean towards its start: weights sum to one at every point.
  function smoothed(losses, weight) {
    let mean = 0, sum = 0;
    return losses.map((loss) => {
      if (!known(loss)) return null;
      mean = weight * mean + (1 - weight) * loss;
      sum = weight * sum + (1 - weight);
      return mean / sum;
    });
  }
  const placed = (curve, by, steps, values) => {
    const points = steps.map((step, index) => [at(curve, by, step), values[index]]).filter(([x]) => x !== null);
    return [points.map(([x]) => x), points.map(([, y]) => y)];
  };

  regimen.drawLosses = async (place, curves, { by, smooth, scale, height, hover }) => {
    const uPlot = await regimen.library("uplot"), weight = Math.min(0.99, Math.max(0, Number(smooth) || 0));
    const tables = [], series = [{ label: AXES[by] }];
    curves.forEach((curve, index) => {
      if (!curve) return; // its colour stays free
      const stroke = ink(`--c${index % COLOURS}`), dash = DASHES[Math.floor(index / COLOURS) % DASHES.length];
      if (weight > 0) {
        tables.push(placed(curve, by, curve.steps, curve.losses));
        series.push({ label: "", stroke: `color-mix(in srgb, ${stroke} 28%, transparent)`, width: 1, points: { show: false }, spanGaps: true, kind: "raw" });
      }
      tables.push(placed(curve, by, curve.steps, smoothed(curve.losses, weight)));
      series.push({ label: curve.title, stroke, width: 2, dash, points: { show: curve.steps.length < 2 }, spanGaps: true, kind: "loss", curve });
      if (curve.validation.length) {
        tables.push(placed(curve, by, curve.validation.map((one) => one.step), curve.validation.map((one) => one.loss)));
        series.push({ label: `${curve.title}, validation`, stroke, width: 1, dash: [3, 3], spanGaps: true, kind: "validation", curve, points: { show: true, size: 8, stroke, fill: ink("--page"), width: 2 } });
      }
      if (curve.kept.length) {
        const losses = new Map(curve.validation.map((one) => [one.step, one.loss]));
        tables.push(placed(curve, by, curve.kept, curve.kept.map((step) => losses.get(step) ?? null)));
        series.push({ label: `${curve.title}, kept`, stroke: "transparent", kind: "kept", curve, points: { show: true, size: 14, stroke, fill: "transparent", width: 2 } });
      }
    });
    const axis = { stroke: ink("--soft"), grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line") }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
    const options = {
      width: place.clientWidth || 600, height, series, legend: { show: false }, cursor: { drag: { x: true, y: false } },
      scales: { x: { time: false }, y: scale === "log" ? { distr: 3 } : {} },
      axes: [{ ...axis, label: AXES[by], values: (_, splits, at, space, step) => splits.map((one) => one.toLocaleString("en", { maximumFractionDigits: Math.max(0, Math.ceil(-Math.log10(step))) })) }, { ...axis, label: "loss (nats a token)", size: 62 }],
      hooks: { setCursor: [(plot) => hover?.(plot)] },
    };
    place.plot?.destroy();
    place.watch?.disconnect();
    place.replaceChildren();
    const plot = new uPlot(options, uPlot.join(tables), place);
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", `Training losses of ${curves.filter(Boolean).map((one) => one.title).join("; ")} by ${AXES[by]}; the table holds their numbers`);
    place.plot = plot;
    place.watch = new ResizeObserver(() => { if (place.clientWidth && place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height }); });
    place.watch.observe(place);
    return plot;
  };
  regimen.lossColour = (index) => `var(--c${index % COLOURS})`;

  const nearest = (plot, series, index) => { // the value at the cursor, or of the last point before it; null past the curve's end
    if (!plot.data[series].slice(index).some(known)) return null;
    for (let place = index; place >= 0; place -= 1) if (known(plot.data[series][place])) return plot.data[series][place];
    return null;
  };
  let redraw = null;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw?.());

  regimen.section(NAME, async (live, given) => {
    const state = { ...DEFAULTS, ...given }, { curves, first } = await regimen.data("curves"), named = new Map(curves.map((one) => [one.id, one]));
    const asked = (state.experiments || state.experiment).split(",").filter(Boolean), chosen = asked.length ? asked.filter((id) => named.has(id)) : first;
    const of = chosen.map((id) => named.get(id)), absent = asked.filter((id) => !named.has(id));
    const tell = () => Object.fromEntries(Object.entries(state).filter(([key, one]) => one !== DEFAULTS[key]));
    const draw = (change) => { Object.assign(state, change); regimen.go(NAME, tell()); };
    if (!AXES[state.by]) state.by = "step";
    const order = new Map(chosen.map((id, index) => [id, index]));
    const place = element("div", { class: "plot" }), reading = new Map(of.map((curve) => [curve.id, element("td", {}, "")])), where = element("output", { class: "soft" });
    const hover = (plot) => {
      const index = plot.cursor.idx;
      where.textContent = index === null || index === undefined ? "" : `at ${state.by === "hours" ? plot.data[0][index].toPrecision(3) : count(plot.data[0][index])} ${state.by === "step" ? "steps" : state.by}`;
      plot.series.forEach((one, at) => { if (one.kind === "loss") reading.get(one.curve.id).textContent = index === null || index === undefined ? "" : known(nearest(plot, at, index)) ? number(nearest(plot, at, index)) : "none"; });
    };
    redraw = () => regimen.drawLosses(place, of, { ...state, height: Math.max(300, Math.min(520, innerHeight - 380)), hover });
    const slider = element("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: state.smooth, on: { input: () => { state.smooth = slider.value; shown.textContent = slider.value; regimen.keep(NAME, tell()); redraw(); } } }), shown = element("output", {}, state.smooth);
    const rows = of.map((curve) => {
      const losses = curve.validation.map((one) => one.loss).filter(known);
      return [element("th", { scope: "row", class: "left answer" }, element("i", { class: "swatch", style: { background: regimen.lossColour(order.get(curve.id)) } }), curve.title, " ", element("span", { class: "soft" }, curve.id, curve.start_from ? `, begins with ${curve.start_from}` : "")),
        count(curve.steps.at(-1)), number(curve.losses.find(known)), number(curve.last), losses.length ? number(Math.min(...losses)) : "none", curve.kept.length ? curve.kept.map(count).join(", ") : "the last",
        curve.broken ? element("b", {}, count(curve.broken)) : "0", reading.get(curve.id)];
    });
    const coarse = of.filter((curve) => curve.each > 1);
    live.replaceChildren(
      controls.picker("Experiments", curves, chosen, (ids) => draw({ experiments: ids.join(","), experiment: "" }), (id) => order.has(id) ? regimen.lossColour(order.get(id)) : null),
      element("div", { class: "controls" },
        controls.choice("By", [["step", "step"], ["tokens", "tokens"], ["hours", "hours"]], state.by, (by) => draw({ by })),
        element("label", {}, "Smoothing ", slider, " ", shown),
        controls.choice("Scale", [["", "linear"], ["log", "logarithmic"]], state.scale, (scale) => draw({ scale })), where),
      ...(absent.length ? [element("p", { class: "warning" }, `Without a training here: ${absent.join(", ")}.`)] : []),
      place,
      element("p", { class: "soft note" }, "Pale: losses as logged; strong: smoothed. Open dots: loss on validation rows; a ring: the step whose weights were kept. Drag to zoom, double-click to go back. ",
        of.some((curve) => curve.start_from) ? "What an experiment begins with is not counted. " : "",
        state.by === "hours" ? "Hours are each stage's share of its cohort, shared trunks in full, spread evenly over its steps. " : "",
        coarse.length ? `A point is the mean of up to ${count(Math.max(...coarse.map((curve) => curve.each)))} steps; every step is in stages/train-*/metrics.jsonl.` : ""),
      controls.table("Losses", ["experiment", "steps", "first loss", "loss at the end", "lowest validation loss", "kept step", "losses not finite", "at the cursor"], rows));
    if (of.length) await redraw();
    else place.replaceChildren(element("p", { class: "soft" }, "Choose an experiment."));
  });
}
