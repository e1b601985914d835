"use strict";
/* The explorer's own script: pure functions first, then what the page does with them. Text of a
   user reaches the page by textContent alone. */
const mindgap = (() => {
  // ------------------------------------------------------------------ pure functions

  /** Base64 of little-endian numbers to an array of `Type`. */
  function unpack(text, Type) {
    const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    return new Type(bytes.buffer);
  }

  /** uint16 of several states, packed as deflated differences from the state before. */
  async function inflate(text, states) {
    const stream = new Blob([unpack(text, Uint8Array)]).stream();
    const bytes = await new Response(
      stream.pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
    const values = new Uint16Array(bytes), size = values.length / states;
    for (let i = size; i < values.length; i++) values[i] += values[i - size];
    return Array.from({length: states}, (_, k) => values.subarray(k * size, (k + 1) * size));
  }

  /** Unit rows with coordinates [along..., across...] moved by `by` u and normalised again. */
  function move(points, by) {
    const n = points.length / 2, x = new Float64Array(n), y = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const along = points[i];
      const scale = 1 / Math.sqrt(Math.max(1 + 2 * by * along + by * by, 1e-12));
      x[i] = (along + by) * scale;
      y[i] = points[n + i] * scale;
    }
    return {x, y};
  }

  /** Place of the value of a list that is nearest to a number. */
  function nearestPlace(values, number) {
    let best = 0;
    values.forEach((value, k) => {
      if (Math.abs(value - number) < Math.abs(values[best] - number)) best = k;
    });
    return best;
  }

  /** Place of the point nearest to (x, y), no farther than `reach`, or -1; `unit` is a pixel. */
  function nearestPoint(points, x, y, unit, reach) {
    let best = -1, least = reach * reach;
    for (let i = 0; i < points.x.length; i++) {
      const dx = (points.x[i] - x) / unit.x, dy = (points.y[i] - y) / unit.y;
      const square = dx * dx + dy * dy;
      if (square < least) [best, least] = [i, square];
    }
    return best;
  }

  /** Ends of the cells around ascending values: halfway between neighbours. */
  function cellEdges(values) {
    const n = values.length;
    if (n === 1) return [values[0] - 0.5, values[0] + 0.5];
    const edges = values.slice(1).map((value, k) => (value + values[k]) / 2);
    return [1.5 * values[0] - values[1] / 2, ...edges, 1.5 * values[n - 1] - values[n - 2] / 2];
  }

  /** Loss above the lowest one at the same temperature, (shift, temperature). */
  function excess(loss) {
    const lowest = loss[0].map((_, t) => Math.min(...loss.map((row) => row[t])));
    return loss.map((row) => row.map((value, t) => value - lowest[t]));
  }

  /** A curve that breaks where its distances change their sign: there they jump. */
  function broken(distance, losses) {
    const x = [], y = [];
    distance.forEach((value, k) => {
      if (k && Math.sign(value) !== Math.sign(distance[k - 1])) { x.push(NaN); y.push(NaN); }
      x.push(value);
      y.push(losses[k]);
    });
    return {x, y};
  }

  /** Value below which a share of the values lies. */
  function quantile(values, share) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.round(share * (sorted.length - 1))];
  }

  /** A number with three decimals, or with two digits where it is very small. */
  function short(value) {
    return value !== 0 && Math.abs(value) < 0.0095 ? value.toPrecision(2) : value.toFixed(3);
  }

  const temperature = (scale) => `1/${+scale.toPrecision(4)}`;

  // ------------------------------------------------------------------ the page

  const get = (id) => document.getElementById(id);
  const model = (name) => Bokeh.documents[0].get_model_by_name(name);
  const NUMBERS = {
    gap: () => "gap (distance of the means)",
    cosine: () => "cosine of a pair, mean",
    recall_ab: (a, b) => `R@1, ${a} to ${b}`,
    recall_ba: (a, b) => `R@1, ${b} to ${a}`,
    ndcg: () => "NDCG@10, mixed corpus",
    accuracy: () => "zero-shot accuracy",
  };
  const WAYS = [[0, 0], [0, 1], [1, 0], [1, 1]]; // query, gallery of the lists of nearest rows

  let facts, pair;
  const now = {pair: 0, method: null, shift: 0, grid: 0, scale: 0, item: 0, hover: -1};

  /** An element with a class and text, or with children. */
  function make(tag, content = "", kind = "") {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    if (Array.isArray(content)) element.append(...content);
    else element.textContent = content;
    return element;
  }

  function picture(item) {
    const image = make("img");
    image.src = facts.thumbnails[item];
    image.alt = `row ${facts.rows[item]}`;
    return image;
  }
  let playing = null;
  function player(item) {
    const button = make("button", "▶ play", "play");
    button.type = "button";
    button.addEventListener("click", () => {
      if (playing) playing.pause();
      playing = new Audio(facts.sounds[item]);
      playing.play().catch(() => { button.textContent = "this browser cannot play it"; });
    });
    return button;
  }
  const pictured = (item) => Boolean(facts.thumbnails && facts.thumbnails[item]);
  const textSide = () => (pair.names[0] === "text" ? 0 : 1);

  /** Numbers, ranks and nearest rows of each of several states of some items. */
  async function unpackStates(raw, items) {
    const ranks = await inflate(raw.ranks, raw.numbers.length);
    const nearest = await inflate(raw.nearest, raw.numbers.length);
    return raw.numbers.map((numbers, k) => ({numbers, ranks: ranks[k], nearest: nearest[k], items}));
  }

  /** What the page needs of two modalities. */
  async function unpackPair(raw) {
    const held = unpack(raw.held, Uint16Array);
    const methods = await unpackStates(raw.methods, held);
    return {...raw,
      points: raw.points.map((text) => unpack(text, Float64Array)),
      still: raw.shifts.indexOf(0),
      states: await unpackStates(raw.states, Uint16Array.from(facts.rows.keys())),
      methods: methods.map((one, k) => {
        const points = unpack(raw.methods.points[k], Float32Array), half = points.length / 2;
        return {...one, name: raw.methods.names[k], about: raw.methods.abouts[k],
          points: [points.subarray(0, half), points.subarray(half)]};
      }),
      place: new Map([...held].map((item, k) => [item, k]))};
  }

  const method = () => (now.method === null ? null : pair.methods[now.method]);
  const gridPlace = () => nearestPlace(pair.shifts, now.shift);
  const loss = () => pair.losses[now.grid];
  const lossPlace = () => nearestPlace(loss().shifts, now.shift);
  const state = () => method() || pair.states[gridPlace()];
  const untouched = () => (method() ? pair.methods[0] : pair.states[pair.still]);
  /** Where an item stands in a state, or -1: methods are shown on held-out items alone. */
  const placeIn = (item) => (method() ? pair.place.get(item) ?? -1 : item);

  /** Coordinates of both modalities as they are drawn. */
  function positions() {
    if (!method()) return [move(pair.points[0], -now.shift / 2), move(pair.points[1], now.shift / 2)];
    return method().points.map((points) => {
      const n = points.length / 2;
      return {x: Float64Array.from(points.subarray(0, n)), y: Float64Array.from(points.subarray(n))};
    });
  }

  let drawn = null;

  function drawMap() {
    const [a, b] = drawn = positions();
    model("a").data = a;
    model("b").data = b;
    model("lines").data = {x0: a.x, y0: a.y, x1: b.x, y1: b.y};
    drawPicked();
  }

  function drawPicked() {
    const [a, b] = drawn, k = placeIn(now.hover < 0 ? now.item : now.hover);
    const there = k >= 0;
    model("picked").data = there
      ? {x: [a.x[k], b.x[k]], y: [a.y[k], b.y[k]], colour: pair.colours}
      : {x: [], y: [], colour: []};
    model("picked-line").data = there
      ? {x0: [a.x[k]], y0: [a.y[k]], x1: [b.x[k]], y1: [b.y[k]]}
      : {x0: [], y0: [], x1: [], y1: []};
  }

  function setRange(name, [low, high]) {
    const range = model(name);
    range.setv({start: low, end: high, reset_start: low, reset_end: high});
  }

  /** What changes with the temperature and not with the shift. */
  function drawLoss() {
    const {distance, shifts, scales, batch} = loss(), t = now.scale;
    const losses = loss().loss.map((row) => row[t]);
    const chance = Math.log(batch), low = Math.min(...losses), high = Math.max(...losses);
    model("losses").data = broken(distance, losses);
    const lowest = losses.indexOf(low);
    model("lowest").data = {x: [distance[lowest]], y: [low]};
    model("still").location = distance[nearestPlace(shifts, 0)];
    model("chance").location = chance;
    const room = 0.06 * (high - low || 1);
    setRange("curve-y", [low - room, high + room]);
    const width = 0.04 * (Math.max(...distance) - Math.min(...distance) || 1);
    setRange("curve-x", [Math.min(...distance) - width, Math.max(...distance) + width]);
    get("loss-title").textContent = `Loss at ${temperature(scales[t])}`;
    const seen = chance < high + room ? "; dotted: chance" : "";
    get("loss-note").textContent =
      `▼ ${short(low)} at ${distance[lowest].toFixed(3)}; dashed: as it is${seen}`;
  }

  function drawHeat() {
    const {shifts, scales} = loss(), edges = cellEdges(shifts), above = excess(loss().loss);
    const cells = {left: [], right: [], bottom: [], top: [], colour: []};
    shifts.forEach((_, k) => scales.forEach((_, t) => {
      cells.left.push(edges[k]); cells.right.push(edges[k + 1]);
      cells.bottom.push(t - 0.5); cells.top.push(t + 0.5);
      cells.colour.push(Math.sqrt(above[k][t]));
    }));
    const most = quantile(above.flat(), 0.97) || 1;
    model("colours").high = Math.sqrt(most);
    model("cells").data = cells;
    const lowest = scales.map((_, t) => above.findIndex((row) => row[t] === 0));
    model("valley").data = {x: lowest.map((k) => shifts[k]), y: scales.map((_, t) => t)};
    setRange("heat-x", [edges[0], edges.at(-1)]);
    setRange("heat-y", [-0.5, scales.length - 0.5]);
    const every = Math.ceil(scales.length / 8); // labels that fit
    model("scales").ticks = [...scales.keys()].filter((t) => t % every === 0);
    model("heat").left[0].major_label_overrides =
      new Map(scales.map((scale, t) => [t, `${+scale.toPrecision(4)}`]));
    const palette = [...model("colours").palette].map((c) =>
      typeof c === "number" ? `#${(c >>> 8).toString(16).padStart(6, "0")}` : c);
    // Even steps of the excess; colours follow its root.
    const stops = Array.from({length: 17}, (_, k) =>
      palette[Math.round(Math.sqrt(k / 16) * (palette.length - 1))]);
    get("scale-bar").querySelector("i").style.background =
      `linear-gradient(to right, ${stops.join(", ")})`;
    get("scale-most").textContent = `${most.toFixed(2)}+`;
  }

  function markLoss() {
    const {shifts, distance} = loss(), k = lossPlace(), t = now.scale, edges = cellEdges(shifts);
    const shown = !method();
    model("loss-now").data = shown
      ? {x: [distance[k]], y: [loss().loss[k][t]]} : {x: [], y: []};
    model("cell-now").data = shown
      ? {left: [edges[k]], right: [edges[k + 1]], bottom: [t - 0.5], top: [t + 0.5]}
      : {left: [], right: [], bottom: [], top: []};
  }

  function writeNumbers() {
    const before = untouched().numbers, after = state().numbers, [a, b] = pair.names;
    const rows = Object.entries(NUMBERS).filter(([key]) => key in after).map(([key, title]) =>
      [key, title(a, b), before[key], after[key]]);
    if (!method()) {
      const {scales, shifts} = loss(), at = (k) => loss().loss[k][now.scale];
      rows.push(["loss", `loss at ${temperature(scales[now.scale])}`,
        at(nearestPlace(shifts, 0)), at(lossPlace())]);
    }
    const cell = (value) => make("td", short(value));
    get("numbers").tBodies[0].replaceChildren(...rows.map(([key, title, ...values]) => {
      const line = make("tr", [make("th", title), ...values.map(cell)]);
      line.dataset.key = key;
      line.lastChild.dataset.value = values[1];
      return line;
    }));
    const size = state().items.length.toLocaleString("en");
    get("numbers-title").textContent = method()
      ? `${size} held-out pairs` : `${size} pairs, at shift ${pair.shifts[gridPlace()].toFixed(2)}`;
    const notes = method()
      ? [`${method().name}, fit on the other pairs: ${method().about}`,
         "The loss beside is that of the shift alone."]
      : ["The map moves exactly; numbers, nearest rows and marks in the loss are those of the " +
         "nearest point of the grid."];
    notes.push("A tie in R@1 is a miss.", `The mixed corpus shows ${Math.round(100 * facts.share)} % ` +
      `of the pairs as ${b}; the right document is of the other modality than the query.`);
    if ("accuracy" in after) notes.push(`Class vectors are means of ${b} rows of one half of the ` +
      "pairs; the other half is classified.");
    get("grid-note").textContent = notes.join(" ");
  }

  function writePair() {
    const item = now.item, row = facts.rows[item], k = placeIn(item);
    get("pair-title").textContent = `Pair ${row}` +
      (k < 0 ? ": the methods are fit on it; choose a held-out pair" : "");
    const card = [];
    if (pictured(item)) card.push(picture(item));
    if (facts.captions) card.push(make("p", facts.captions[item]));
    if (facts.sounds && facts.sounds[item]) card.push(player(item));
    const body = [];
    if (k >= 0) {
      const n = state().items.length, rank = (one, side) => `${one.ranks[side * n + k] + 1}`;
      const ranks = [0, 1].map((side) => make("tr", [
        make("th", `rank of its ${pair.names[1 - side]} for its ${pair.names[side]}`),
        make("td", rank(untouched(), side)), make("td", rank(state(), side))]));
      card.push(make("table", [
        make("tr", ["", "as it is", "now"].map((text) => make("th", text))), ...ranks]));
      WAYS.forEach(([query, gallery], way) => {
        const before = nearest(untouched(), way, k), after = nearest(state(), way, k);
        body.push(make("tr", [
          make("th", `${pair.names[query]} to ${pair.names[gallery]}`),
          make("td", [chips(before, gallery, before, query !== gallery && item)]),
          make("td", [chips(after, gallery, before, query !== gallery && item)])]));
      });
    }
    get("pair-card").replaceChildren(...card);
    get("neighbours").tBodies[0].replaceChildren(...body);
    get("neighbours").hidden = k < 0;
  }

  /** Items nearest to the row at place k of a state, best first. */
  function nearest(one, way, k) {
    const n = one.items.length, size = one.nearest.length / (4 * n), start = (way * n + k) * size;
    return [...one.nearest.subarray(start, start + size)];
  }

  function chips(items, side, before, partner) {
    return make("div", items.map((item) => {
      const row = facts.rows[item], text = facts.captions ? facts.captions[item] : "";
      const chip = make("button", [], before.includes(item) ? "" : "new");
      const asText = side === textSide();
      if (!asText && pictured(item)) chip.append(picture(item), make("span", `${row}`));
      else chip.append(make("span", asText && text ? text : `row ${row}`));
      if (item === partner) chip.classList.add("partner");
      chip.type = "button";
      chip.title = text ? `row ${row}: ${text}` : `row ${row}`;
      chip.addEventListener("click", () => choose(item));
      return chip;
    }), "near");
  }

  function showTip(event) {
    const tip = get("tip"), item = now.hover;
    tip.hidden = item < 0;
    if (item < 0) return;
    const k = placeIn(item), n = state().items.length;
    const rank = (side) => state().ranks[side * n + k] + 1;
    const lines = [make("b", `pair ${facts.rows[item]}`)];
    if (pictured(item)) lines.unshift(picture(item));
    if (facts.captions) lines.push(make("div", facts.captions[item]));
    lines.push(make("div", `rank of the partner: ${rank(0)} and ${rank(1)}`));
    tip.replaceChildren(...lines);
    const place = get("plot-map").getBoundingClientRect();
    const x = place.left + event.sx + 14, y = place.top + event.sy + 14;
    tip.style.left = `${Math.min(x, innerWidth - tip.offsetWidth - 6)}px`;
    tip.style.top = `${Math.min(y, innerHeight - tip.offsetHeight - 6)}px`;
  }

  /** The item under the pointer, or -1. */
  function under(event) {
    const plot = model("map"), unit = {
      x: Math.abs(plot.x_range.end - plot.x_range.start) / plot.inner_width,
      y: Math.abs(plot.y_range.end - plot.y_range.start) / plot.inner_height};
    let best = -1, least = 12;
    for (const points of drawn) {
      const k = nearestPoint(points, event.x, event.y, unit, least);
      if (k < 0) continue;
      best = k;
      least = Math.hypot((points.x[k] - event.x) / unit.x, (points.y[k] - event.y) / unit.y);
    }
    return best < 0 ? -1 : state().items[best];
  }

  // ------------------------------------------------------------------ what a reader does

  function choose(item) {
    now.item = item;
    now.hover = -1;
    get("row").value = facts.rows[item];
    get("row").setCustomValidity("");
    get("tip").hidden = true;
    drawPicked();
    writePair();
  }

  function setShift(wanted) {
    const value = Math.min(Math.max(wanted, pair.shifts[0]), pair.shifts.at(-1));
    now.shift = value;
    now.method = null;
    now.hover = -1;
    get("tip").hidden = true;
    get("shift").value = value;
    get("shift-value").textContent = value.toFixed(2);
    get("method").value = "";
    drawAll();
  }

  let lastPlace = null;

  /** Draw what depends on shift, method and temperature; text only where it changes. */
  function drawAll() {
    drawMap();
    const place = [now.pair, now.method, gridPlace(), now.grid, lossPlace(), now.scale].join();
    if (place === lastPlace) return;
    lastPlace = place;
    markLoss();
    writeNumbers();
    writePair();
  }

  function setMethod(value) {
    now.method = value === "" ? null : Number(value);
    now.hover = -1;
    get("shift-value").textContent = method() ? "–" : now.shift.toFixed(2);
    if (placeIn(now.item) < 0) choose(state().items[0]);
    drawAll();
  }

  function setScale(t) {
    now.scale = t;
    facts.scale = loss().scales[t];
    get("scale").value = t;
    drawLoss();
    drawAll();
  }

  function setPair(place) {
    now.pair = place;
    now.method = null;
    pair = facts.pairs[place];
    const [a, b] = pair.names;
    get("title").textContent = `${a} and ${b}`;
    const dots = pair.names.flatMap((name, side) => {
      const dot = make("i", "", "dot");
      dot.style.background = pair.colours[side];
      return [dot, make("span", name)];
    });
    get("legend").replaceChildren(...dots, make("small", " – a line joins each pair; click one"));
    ["a", "b"].forEach((side, k) => {
      model(`dots-${side}`).glyph.fill_color = {value: pair.colours[k]};
    });
    const slider = get("shift"), span = pair.shifts.at(-1) - pair.shifts[0];
    Object.assign(slider, {min: pair.shifts[0], max: pair.shifts.at(-1), step: span > 5 ? 0.05 : 0.01});
    slider.disabled = span === 0;
    const option = (value, text) => Object.assign(make("option", text), {value});
    get("method").replaceChildren(option("", "the shift"),
      ...pair.methods.map((one, k) => option(k, k ? `method: ${one.name}` : "held-out pairs as they are")));
    get("grid").replaceChildren(...pair.losses.map(({name}, k) => option(k, name)));
    get("grid-choice").hidden = pair.losses.length < 2;
    setRange("map-x", pair.range[0]);
    setRange("map-y", pair.range[1]);
    lastPlace = null;
    setGrid(0);
    setShift(now.shift);
  }

  /** Show another grid of the loss, at the temperature nearest to the present one. */
  function setGrid(k) {
    const was = facts.scale ?? loss().scales[0];
    now.grid = k;
    get("grid").value = k;
    get("scale").replaceChildren(...loss().scales.map((scale, t) =>
      Object.assign(make("option", temperature(scale)), {value: t})));
    drawHeat();
    setScale(nearestPlace(loss().scales, was));
    writeNote();
  }

  function writeNote() {
    const [n, total] = [facts.rows.length, facts.total].map((size) => size.toLocaleString("en"));
    const {batch, pairs} = loss();
    const batches = batch === pairs ? "all pairs as one batch" : `batches of ${batch}`;
    const all = pairs > facts.rows.length ? "everything but the loss" : "everything";
    get("note").textContent = (facts.name && `${facts.name}. `) + (n === total ? `${total} pairs. ` :
      `A random sample of ${n} of ${total} pairs: ${all} here is of this sample. `) +
      `Loss: mean of both directions, ${batches}. Move the shift with the slider or the arrow keys; ` +
      "positive shifts close the gap.";
  }

  function listen() {
    let waiting = false;
    get("shift").addEventListener("input", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        setShift(Number(get("shift").value));
      });
    });
    get("reset").addEventListener("click", () => setShift(0));
    get("method").addEventListener("change", (event) => setMethod(event.target.value));
    get("scale").addEventListener("change", (event) => setScale(Number(event.target.value)));
    get("grid").addEventListener("change", (event) => setGrid(Number(event.target.value)));
    get("pair").addEventListener("change", (event) => setPair(Number(event.target.value)));
    get("row").max = facts.total - 1;
    get("row").addEventListener("input", (event) => {
      const field = event.target, item = facts.rows.indexOf(Number(field.value));
      const known = field.value !== "" && item >= 0;
      field.setCustomValidity(known ? "" : `Row ${field.value} is not on this page`);
      if (known) choose(item);
      else field.reportValidity();
    });
  }

  /** What the plots call. */
  const page = {
    map(event) {
      const item = event.event_name === "mouseleave" ? -1 : under(event);
      if (event.event_name === "tap") {
        if (item >= 0) choose(item);
        return;
      }
      if (item !== now.hover) {
        now.hover = item;
        drawPicked();
      }
      showTip(event);
    },
    curve(event) {
      if (event.event_name === "tap") setShift(loss().shifts[nearestPlace(loss().distance, event.x)]);
    },
    heat(event) {
      if (event.event_name !== "tap") return;
      const t = Math.round(event.y);
      if (t >= 0 && t < loss().scales.length) {
        setScale(t);
        setShift(loss().shifts[nearestPlace(loss().shifts, event.x)]);
      }
    },
  };

  async function start() {
    facts = JSON.parse(get("facts").textContent);
    facts.pairs = await Promise.all(facts.pairs.map(unpackPair));
    const {documents, items} = JSON.parse(get("plots").textContent);
    await Bokeh.embed.embed_items(documents, items);
    get("pair").replaceChildren(...facts.pairs.map(({names}, k) =>
      Object.assign(make("option", names.join(" and ")), {value: k})));
    get("pair-choice").hidden = facts.pairs.length < 2;
    listen();
    setPair(0);
    choose(0);
    document.body.dataset.ready = "yes";
  }

  return {start, page, unpack, move, nearestPlace, nearestPoint, cellEdges, excess, broken, quantile};
})();
