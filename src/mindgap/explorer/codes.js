"use strict";
/* The script of the page of a codebook. Text of a user reaches the page by textContent alone. */
const codes = (() => {
  const get = (id) => document.getElementById(id);
  const short = (value) => value.toFixed(2);
  let facts, playing = null;

  /** An element with a class and text, or with children. */
  function make(tag, content = "", kind = "") {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    if (Array.isArray(content)) element.append(...content);
    else element.textContent = content;
    return element;
  }

  const numbers = (values) => values.map((value) => make("td", short(value), "number"));

  /** A frame under its cells: those where the code fires are framed, the others are faded. */
  function cells(source, medium, fires, slice) {
    const {rows, columns} = medium, space = "http://www.w3.org/2000/svg";
    const drawing = document.createElementNS(space, "svg");
    drawing.setAttribute("viewBox", `0 0 ${columns} ${rows}`);
    drawing.setAttribute("preserveAspectRatio", "none");
    const on = [];
    for (let k = 0; k < rows * columns; k++) {
      const cell = document.createElementNS(space, "rect");
      const place = {x: k % columns, y: Math.floor(k / columns), width: 1, height: 1};
      Object.entries(place).forEach(([name, value]) => cell.setAttribute(name, value));
      if (fires.has(slice * rows * columns + k)) {
        cell.classList.add("on");
        on.push(cell);
      } else drawing.append(cell);
    }
    drawing.append(...on); // above their neighbours
    const image = make("img");
    image.src = source;
    image.alt = "";
    return make("div", [image, drawing], "frame");
  }

  function button(sound, item) {
    const one = make("button", "▶ play", "play");
    one.type = "button";
    one.setAttribute("aria-label", `play the sound of item ${item}`);
    one.addEventListener("click", () => {
      if (playing) playing.pause();
      playing = new Audio(sound);
      playing.play().catch(() => { one.textContent = "this browser cannot play it"; });
    });
    return one;
  }

  function example({item, fires}, side) {
    const medium = side.items[item], where = new Set(fires), parts = [];
    if (medium.words) {
      parts.push(make("p", medium.words.flatMap((word, k) =>
        [make(where.has(k) ? "mark" : "span", word), " "]), "words"));
    } else {
      parts.push(...medium.frames.map((source, slice) => cells(source, medium, where, slice)));
      if (medium.sound) parts.push(button(medium.sound, item));
    }
    const caption = facts.captions[item], place = `item ${item}, ${fires.length} tokens`;
    return make("figure", [make("div", parts, medium.sound ? "frames sound" : "frames"),
      make("figcaption", caption ? `${place}: ${caption}` : place)], "example");
  }

  function showSide(own, side) {
    const heads = ["means", "P(concept | code)", "P(code | concept)"];
    const list = make("table", [
      make("tr", heads.map((text, k) => make("th", text, k ? "number" : ""))),
      ...own.meaning.map(({concept, precision, recall}) =>
        make("tr", [make("td", concept), ...numbers([precision, recall])]))]);
    const seen = own.examples.length
      ? [make("p", `fires in ${own.items.toLocaleString("en")} of ${facts.pairs.toLocaleString("en")} items`),
        list, ...own.examples.map((one) => example(one, side))]
      : [make("p", "never fires here")];
    return make("section", [make("h3", side.modality), ...seen]);
  }

  function show(place) {
    const one = facts.codes[place];
    if (playing) playing.pause();
    get("code-title").textContent = `Code ${one.code}`;
    get("concepts").tBodies[0].replaceChildren(...one.concepts.map((row) =>
      make("tr", [make("td", row.concept), ...numbers([row.f1_a, row.f1_b, row.null, row.always])])));
    get("sides").replaceChildren(...one.sides.map((own, k) => showSide(own, facts.sides[k])));
    [...get("list").querySelectorAll("tbody tr")].forEach((row, k) => {
      if (k === place) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    });
  }

  function start() {
    facts = JSON.parse(get("facts").textContent);
    get("title").textContent = `Codes of ${facts.name}`;
    get("note").textContent = "Choose a code to see where it fires. F1: the lower one of both modalities, of the " +
      "code as a detector of its concept, on items on which it was not chosen; null: the same for shuffled " +
      "concepts; always: a code that fires in every item. Codes are sorted by F1 above always.";
    const heads = get("concepts").tHead.rows[0].cells;
    facts.sides.forEach(({modality}, k) => { heads[k + 1].textContent = `F1, ${modality}`; });
    for (const head of [...heads].slice(1)) head.className = "number";
    get("list").querySelector("tbody").replaceChildren(...facts.codes.map(({code, concepts: [best]}, k) => {
      const choice = make("button", `${code}`);
      choice.type = "button";
      choice.addEventListener("click", () => show(k));
      return make("tr", [make("td", [choice]), make("td", best.concept), ...numbers([best.f1, best.null])]);
    }));
    if (facts.codes.length) show(0);
    else get("code-title").textContent = "No code names a concept.";
    document.body.dataset.ready = "yes";
  }

  return {start};
})();
