// A grid of any length: only the rows in sight are drawn, and only a window of them was sent. Text from outside goes in as textContent.
const ROW = 26;
const PING = 4000; // milliseconds between two questions whether the kernel is there
const LATE = 9500; // without an answer for so long, it is said

function make(tag, kind, text) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

function drawn(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function spark(values) {
  const svg = drawn("svg", { width: 84, height: 20, viewBox: "0 0 84 20", role: "img" });
  const known = (values || []).filter((one) => one !== null);
  svg.setAttribute("aria-label", known.length ? `from ${known[0]} to ${known[known.length - 1]}` : "no prices");
  if (known.length < 2) return svg;
  const low = Math.min(...known), span = Math.max(...known) - low || 1, step = 82 / (known.length - 1);
  const points = known.map((one, at) => `${(1 + at * step).toFixed(1)},${(18 - (16 * (one - low)) / span).toFixed(1)}`);
  svg.append(drawn("polyline", { points: points.join(" "), class: "kl-spark" }));
  return svg;
}

function cell(column, value) {
  const node = make("div", `kl-cell kl-${column.kind}`);
  node.setAttribute("role", "gridcell");
  if (column.kind === "spark") node.append(spark(value));
  else if (column.kind === "bid" || column.kind === "ask") {
    node.textContent = value ? value.text : "";
    if (value) node.style.setProperty("--share", `${value.share}%`);
  } else {
    node.textContent = value === null || value === undefined ? "" : value;
    node.title = node.textContent;
  }
  return node;
}

function render({ model, el }) {
  const id = `kl-${Math.random().toString(36).slice(2)}`;
  el.classList.add("kl-table");
  el.setAttribute("data-lm-suppress-shortcuts", "true"); // arrows and enter are ours while the focus is in here
  const gone = make("div", "kl-gone");
  gone.setAttribute("role", "alert");
  const caption = make("div", "kl-caption");
  const grid = make("div", "kl-grid");
  const head = make("div", "kl-head");
  const body = make("div", "kl-body");
  const spacer = make("div", "kl-spacer");
  const foot = make("div", "kl-foot");
  foot.setAttribute("aria-live", "polite");
  grid.setAttribute("role", "grid");
  grid.tabIndex = 0;
  head.setAttribute("role", "row");
  head.setAttribute("aria-rowindex", "1");
  body.setAttribute("role", "rowgroup");
  body.append(spacer);
  grid.append(head, body);
  el.append(gone, caption, grid, foot);

  let active = -1, asked = "", waiting = null, answered = Date.now(), number = 0;

  function tell(message) {
    try {
      model.send(message);
    } catch {
      lost("The kernel is gone: what is shown is as it was. Start it, and run the cell again.");
    }
  }
  function lost(text) {
    gone.textContent = text;
    el.classList.toggle("kl-dim", Boolean(text));
  }
  function height() {
    const rows = Math.max(1, model.get("total"));
    return Math.min(rows * ROW, model.get("height"));
  }
  function widths() {
    return model.get("columns").map((one) => one.width || "minmax(5em, 1fr)").join(" ");
  }
  function heads() {
    const [by, down] = model.get("sort");
    grid.style.setProperty("--columns", widths());
    head.replaceChildren(
      ...model.get("columns").map((column) => {
        const node = make("div", `kl-cell kl-${column.kind}`);
        node.setAttribute("role", "columnheader");
        const mine = column.name === by;
        if (mine) node.setAttribute("aria-sort", down ? "descending" : "ascending");
        if (!column.sortable) {
          node.textContent = column.label;
          return node;
        }
        const button = make("button", "kl-sort", column.label + (mine ? (down ? " \u25be" : " \u25b4") : ""));
        button.type = "button";
        button.title = `Sort by ${column.label}`;
        button.addEventListener("click", () => tell({ do: "sort", column: column.name }));
        node.append(button);
        return node;
      }),
    );
  }
  function visible() {
    const first = Math.floor(body.scrollTop / ROW);
    return [first, Math.min(model.get("total"), first + Math.ceil(height() / ROW) + 1)];
  }
  function draw() {
    const total = model.get("total"), shown = model.get("window"), columns = model.get("columns");
    grid.setAttribute("aria-rowcount", String(total + 1));
    grid.setAttribute("aria-label", model.get("label"));
    body.style.height = `${height()}px`;
    spacer.style.height = `${total * ROW}px`;
    foot.textContent = model.get("foot");
    caption.textContent = model.get("caption") ? model.get("label") : "";
    if (active >= total) active = total - 1;
    const [first, last] = visible(), rows = [];
    let missing = false;
    for (let at = first; at < last; at += 1) {
      const values = shown.rows[at - shown.first];
      const row = make("div", "kl-row");
      row.setAttribute("role", "row");
      row.id = `${id}-${at}`;
      row.style.top = `${at * ROW}px`;
      row.setAttribute("aria-rowindex", String(at + 2));
      row.setAttribute("aria-selected", String(at === active));
      if (values) row.append(...columns.map((column, place) => cell(column, values[place])));
      else missing = true;
      if (!values) row.append(make("div", "kl-cell", "\u2026"));
      row.addEventListener("click", () => { choose(at); pick(); });
      rows.push(row);
    }
    if (!total) rows.push(make("div", "kl-cell kl-none", "none"));
    spacer.replaceChildren(...rows);
    if (active >= 0) grid.setAttribute("aria-activedescendant", `${id}-${active}`);
    if (missing) want(first);
  }
  function want(first) {
    const key = `${first}/${model.get("version")}`;
    if (key === asked) return;
    asked = key;
    clearTimeout(waiting);
    waiting = setTimeout(() => { asked = ""; tell({ do: "window", first: Math.max(0, first - 30) }); }, 40);
  }
  function choose(at) {
    const total = model.get("total");
    if (!total) return;
    active = Math.max(0, Math.min(total - 1, at));
    const top = active * ROW;
    if (top < body.scrollTop) body.scrollTop = top;
    else if (top + ROW > body.scrollTop + height()) body.scrollTop = top + ROW - height();
    draw();
  }
  function pick() {
    if (active >= 0) tell({ do: "pick", row: active, version: model.get("version") });
  }
  function typed(event) {
    if (event.target !== grid) return;
    const page = Math.max(1, Math.floor(height() / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) choose(Math.max(0, Math.min(model.get("total") - 1, active + steps[event.key])));
    else if (event.key === "Enter" || event.key === " ") pick();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  function beat() {
    if (document.hidden) {
      answered = Date.now();
      return;
    }
    const silent = Date.now() - answered;
    if (silent > LATE) {
      const seconds = Math.round(silent / 1000);
      lost(`No answer from the kernel for ${seconds} s: it is busy with another cell, or it was stopped. Then run this cell again.`);
    }
    number += 1;
    tell({ do: "ping", number });
  }
  function heard(message) {
    if (!message || message.pong === undefined) return;
    answered = Date.now();
    lost("");
  }
  function unplugged() {
    if (model.get("alive")) lost("The kernel was stopped or started anew: what is shown is as it was. Run this cell again.");
  }

  body.addEventListener("scroll", () => requestAnimationFrame(draw));
  grid.addEventListener("keydown", typed);
  model.on("msg:custom", heard);
  model.on("comm_live_update", unplugged);
  model.on("change:columns change:sort", heads);
  model.on("change:columns change:total change:window change:foot change:label", draw);
  model.on("change:version", () => {
    if (model.get("keep")) return;
    active = -1; // the rows are others now
    grid.removeAttribute("aria-activedescendant");
    body.scrollTop = 0;
  });
  heads();
  draw();
  const timer = model.get("alive") ? setInterval(beat, PING) : null;
  if (timer) tell({ do: "ping", number });
  return () => {
    clearInterval(timer);
    clearTimeout(waiting);
    model.off("msg:custom", heard);
    model.off("comm_live_update", unplugged);
  };
}

export default { render };
