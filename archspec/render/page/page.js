"use strict";
/* The page of a network. `archspec.show(data)` draws it from the data that `page_data` returns, and
   draws it again from other data: what is folded, sorted, chosen, focused and scrolled to stays. */
const archspec = (() => {
  const $ = id => document.getElementById(id);

  /* Return an element. Text is only ever put in as text. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // Amounts. Counts are BigInts, which are exact at any size.

  const thousands = value => BigInt(value).toLocaleString("en-US");

  /* Return bytes in units of 1000, three significant digits, as archspec's tables have them. */
  function byteSize(value) {
    let amount = Number(value), unit = "B";
    for (unit of ["B", "kB", "MB", "GB", "TB"]) {
      if (amount < 999.5 || unit === "TB") break;
      amount /= 1000;
    }
    if (unit === "B") return `${value} B`;
    const digits = amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0;
    let text = amount.toFixed(digits);
    if (amount * 2 ** (digits + 1) % 2 === 1) { // just between two: the even one, as in Python
      const lower = Math.floor(amount * 10 ** digits);
      text = ((lower + lower % 2) / 10 ** digits).toFixed(digits);
    }
    return `${digits ? text : thousands(text)} ${unit}`;
  }

  const share = (part, whole) => Number(whole) ? Number(part) / Number(whole) : 0;
  const percent = value => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;

  /* Return the parts of memory in bytes: the same as `MemoryModel.at`. */
  function memory(model, setting) {
    const [weightBytes, valueBytes] = setting.bytes.map(BigInt);
    const params = BigInt(model.params), batch = BigInt(setting.batch);
    const parts = {
      weights: params * weightBytes,
      gradients: BigInt(model.trainable) * weightBytes,
      optimizer: BigInt(model.optimizer_values[setting.optimizer]) * weightBytes,
      saved: BigInt(setting.training_batch) *
        (BigInt(model.saved_values) * valueBytes + BigInt(model.saved_mask_bytes)),
      forward_peak: batch * BigInt(model.forward_values) * valueBytes,
    };
    parts.must_keep = parts.weights + parts.gradients + parts.optimizer + parts.saved;
    parts.inference = parts.weights + parts.forward_peak;
    return parts;
  }

  /* Return the bytes of a training step on an engine: the same as `Estimate.bytes`. */
  function estimated(estimate, parts, setting) {
    const bytes = estimate.bytes[setting.dtype];
    if (!Array.isArray(bytes)) {
      return inTiles(bytes, parts.optimizer, Number(setting.training_batch));
    }
    const [fixed, example] = bytes.map(BigInt);
    return fixed + parts.optimizer + BigInt(setting.training_batch) * example;
  }

  /* Return the bytes of a step whose tensors fill tiles: the same as `TiledFootprint.at`. */
  function inTiles(tensors, optimizer, batch) {
    const up = (extent, tile) => Math.ceil(extent / tile) * tile;
    const rows = extent => extent > 4 ? up(extent, 8) : 2 ** Math.ceil(Math.log2(extent));
    const product = extents => extents.map(BigInt).reduce((a, b) => a * b, 1n);
    const least = values => values.reduce((a, b) => a < b ? a : b);
    const whole = shape => least(shape.flatMap((last, i) => shape.map((other, j) => i === j ? null :
      product(shape) / BigInt(last) / BigInt(other) * BigInt(up(last, 128)) * BigInt(rows(other))))
      .filter(values => values !== null));
    const ceil = (a, b) => (a + b - 1n) / b;

    let kept = BigInt(batch) * BigInt(tensors.masks) - BigInt(tensors.on_chip);
    for (const [channels, bytes] of tensors.kept) {
      kept += BigInt(bytes) * BigInt(Math.min(
        up(channels, 128) * rows(batch), up(batch, 128) * rows(channels)));
    }
    const {factors} = tensors;
    const weighed = BigInt(factors.kept) * (kept > 0n ? kept : 0n)
      + BigInt(factors.gradients) * BigInt(tensors.gradients)
      + BigInt(factors.tables) * BigInt(tensors.tables);
    const inputs = tensors.inputs.map(shape => whole([batch, ...shape])).reduce((a, b) => a + b, 0n);
    const state = ceil(optimizer * BigInt(tensors.trained), BigInt(tensors.gradients || 1));
    return BigInt(tensors.weights) + state + BigInt(tensors.input_bytes) * inputs
      + ceil(weighed, 1000n);
  }

  // State, which another `show` keeps.

  let data;
  let rows = [], byPath = new Map(), columns = [];
  let setting;
  const choices = {batch: "", dtype: "", optimizer: ""}; // "" is the network's own
  let shown = null; // names of columns
  let level = null, open = new Set(), flat = false;
  let sort = {name: "", down: false};
  let chosen = null; // a path
  const marked = {hover: null, focus: null}; // paths
  let current = {path: null, column: -1}; // the row and cell that Tab goes to
  let figures = new Map(), figure = null;

  // Rows

  function readRows() {
    byPath = new Map();
    const above = [];
    rows = data.rows.map((each, place) => {
      const row = {...each, place, children: [], parent: null};
      above.length = row.level - 1;
      row.parent = above.at(-1) ?? null;
      row.parent?.children.push(row);
      above.push(row);
      const prefix = row.parent ? `${row.parent.path}/` : "";
      row.name = row.path.startsWith(prefix) ? row.path.slice(prefix.length) : row.path;
      byPath.set(row.path, row);
      return row;
    });
  }

  const isOpen = row => row.children.length > 0 && open.has(row.path);

  function unfold(to) {
    flat = to === "flat";
    level = to;
    if (!flat) open = new Set(rows.filter(row => row.block && row.level < to).map(row => row.path));
  }

  const bytesOf = values => BigInt(values) * BigInt(setting.bytes[1]) * BigInt(setting.batch);

  /* Return what a row is sorted by: a BigInt, a number or a text. */
  function key(row, name) {
    if (name === "layer") return flat ? row.path : row.name;
    if (name === "output") return row.size;
    if (name === "field" || name === "stride") {
      return row.reach ? row.reach[name === "field" ? 0 : 1][0] ?? 0 : Infinity;
    }
    const value = row[name === "memory" ? "activations" : name];
    return column(name).left ? value : BigInt(value);
  }

  function sorted(siblings) {
    if (!sort.name) return siblings;
    const sign = sort.down ? -1 : 1;
    return siblings
      .map(row => ({row, by: key(row, sort.name)}))
      .sort((a, b) => (a.by < b.by ? -sign : a.by > b.by ? sign : a.row.place - b.row.place))
      .map(each => each.row);
  }

  /* Return the rows that the table shows, in its order. */
  function visible() {
    if (flat) return sorted(rows.filter(row => !row.children.length));
    const found = [];
    const add = siblings => {
      for (const row of sorted(siblings)) {
        found.push(row);
        if (isOpen(row)) add(row.children);
      }
    };
    add(rows.filter(row => !row.parent));
    return found;
  }

  /* Return the row that shows a path: its own, or that of the folded block around it. */
  function shownRow(path) {
    let row = byPath.get(path) ?? null;
    for (let each = row; each; each = each.parent) {
      if (each.parent && !flat && !isOpen(each.parent)) row = each.parent;
    }
    return row;
  }

  // Columns and cells

  const column = name => columns.find(each => each.name === name);
  const shownColumns = () => columns.filter(each => shown.includes(each.name));

  /* Return the columns to show at first: the wider the window, the more ranks of them. */
  function usualColumns() {
    const rank = innerWidth < 640 ? 1 : innerWidth < 1400 ? 3 : innerWidth < 1800 ? 5 : 8;
    const silent = {non_trainable: !BigInt(data.totals.non_trainable),
      shared_with: !data.rows.some(row => row.shared_with)};
    return columns.filter(each => each.rank <= rank && !silent[each.name]).map(e => e.name);
  }

  function cellText(row, name) {
    if (name === "layer") return flat ? row.path : row.name;
    if (row.unknown.includes(name)) return "?";
    if (name === "memory") return byteSize(bytesOf(row.activations));
    if (name === "field" || name === "stride" || column(name).left) return row[name];
    return thousands(row[name]);
  }

  /* Return how a number comes about, here and for an input of any size; empty where there is
     nothing to say. */
  function formula(row, name) {
    const open = row.formulas?.[name];
    return [terms(row, name), open && `at any size: ${open}`].filter(Boolean).join("; ");
  }

  function terms(row, name) {
    const why = row.why;
    if (name === "trainable" && BigInt(row.non_trainable)) {
      return `${thousands(row.params)} - ${thousands(row.non_trainable)} that training leaves alone`;
    }
    if (name !== "memory") return why[name] === cellText(row, name) ? "" : why[name] ?? "";
    const batch = setting.batch > 1n ? ` * batch ${thousands(setting.batch)}` : "";
    const bytes = `${setting.bytes[1]} bytes`;
    return `${why.activations} values * ${bytes}${batch} = ${byteSize(bytesOf(row.activations))}`;
  }

  const BARS = ["params", "trainable", "non_trainable", "macs", "other_ops", "activations", "memory"];
  const amount = (row, name) => Number(row[name === "memory" ? "activations" : name]);

  // The table

  const [head, body, foot] = ["thead", "tbody", "tfoot"].map(tag => $("table").querySelector(tag));
  let lines = new Map(); // the <tr> of each path that was ever shown

  function drawHead() {
    const titles = shownColumns().map(each => {
      const button = make("button", {type: "button"}, each.title);
      button.addEventListener("click", () => {
        sortBy(each.name);
        head.querySelector(`[data-name="${each.name}"] button`).focus();
      });
      const state = sort.name !== each.name ? "none" : sort.down ? "descending" : "ascending";
      return make("th", {
        scope: "col", "aria-sort": state, "data-name": each.name, class: each.left ? "" : "number",
      }, button);
    });
    head.replaceChildren(make("tr", {}, ...titles));
    const totals = shownColumns().map(({name}, place) => {
      if (place === 0) return make("th", {scope: "row"}, "total");
      const value = data.totals[name === "memory" ? "activations" : name];
      const text = value === undefined ? "" :
        (name === "memory" ? byteSize(bytesOf(value)) : thousands(value)) + rest(name);
      return make("td", {class: "number"}, text);
    });
    foot.replaceChildren(make("tr", {}, ...totals));
  }

  /* Sort by a column: from its largest numbers or first names, then the other way, then not. */
  function sortBy(name) {
    const first = !column(name).left;
    if (sort.name !== name) sort = {name, down: first};
    else if (sort.down === first) sort = {name, down: !first};
    else sort = {name: "", down: false};
    drawHead();
    drawRows();
  }

  function line(row) {
    const tr = make("tr", {"aria-level": flat ? 1 : row.level, "data-path": row.path});
    tr.tabIndex = -1;
    tr.style.setProperty("--level", flat ? 1 : row.level);
    if (row.children.length) tr.setAttribute("aria-expanded", "false");
    shownColumns().forEach(({name, left}, place) => {
      const cell = place === 0 ? make("th", {scope: "row", title: row.path}) : make("td");
      cell.tabIndex = -1;
      cell.dataset.name = name;
      if (!left) cell.className = "number";
      cell.textContent = cellText(row, name);
      tr.append(cell);
    });
    return tr;
  }

  function drawRows() {
    const focused = focusedCell();
    const list = visible();
    const leaves = list.filter(row => !isOpen(row) || flat);
    const most = Object.fromEntries(
      BARS.map(name => [name, Math.max(0, ...leaves.map(row => amount(row, name)))]));
    drawWhere(leaves);
    body.replaceChildren(...list.map(row => {
      let tr = lines.get(row.path);
      if (!tr) lines.set(row.path, tr = line(row));
      if (row.children.length) tr.setAttribute("aria-expanded", String(isOpen(row)));
      for (const cell of tr.children) {
        const name = cell.dataset.name;
        if (!most[name]) continue;
        const part = isOpen(row) && !flat ? 0 : share(amount(row, name), most[name]);
        cell.style.setProperty("--share", `${(100 * part).toFixed(1)}%`);
      }
      return tr;
    }));
    if (!lines.get(current.path)?.isConnected) {
      const near = current.path === null ? null : shownRow(current.path);
      current = {path: (near ?? list[0])?.path ?? null, column: -1};
    }
    setTabStop();
    if (focused) focusCell(false);
    drawMarks();
  }

  function setTabStop() {
    for (const each of body.querySelectorAll("[tabindex='0']")) each.tabIndex = -1;
    const tr = lines.get(current.path);
    if (!tr) return;
    tr.tabIndex = current.column < 0 ? 0 : -1;
    if (current.column >= 0) tr.children[current.column].tabIndex = 0;
  }

  const focusedCell = () => body.contains(document.activeElement);

  function focusCell(scroll = true) {
    setTabStop();
    const tr = lines.get(current.path);
    const target = current.column < 0 ? tr : tr?.children[current.column];
    target?.focus({preventScroll: true});
    if (scroll) target?.scrollIntoView({block: "nearest", inline: "nearest"});
  }

  function goTo(path, place = -1) {
    current = {path, column: place};
    focusCell();
  }

  function toggle(row) {
    if (open.has(row.path)) open.delete(row.path);
    else open.add(row.path);
    drawRows();
  }

  body.addEventListener("keydown", event => {
    const row = byPath.get(current.path);
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const list = visible(), place = list.indexOf(row), last = shownColumns().length - 1;
    const vertical = {ArrowUp: place - 1, ArrowDown: place + 1, PageUp: place - 10,
      PageDown: place + 10};
    if (event.key in vertical) {
      const to = Math.min(Math.max(vertical[event.key], 0), list.length - 1);
      goTo(list[to].path, current.column);
    } else if (event.key === "Home" || event.key === "End") {
      const end = event.key === "End";
      if (current.column >= 0) goTo(row.path, end ? last : 0);
      else goTo(list[end ? list.length - 1 : 0].path);
    } else if (event.key === "ArrowRight") {
      if (current.column < 0 && row.children.length && !flat && !isOpen(row)) toggle(row);
      else goTo(row.path, Math.min(current.column + 1, last));
    } else if (event.key === "ArrowLeft") {
      if (current.column >= 0) goTo(row.path, current.column - 1);
      else if (isOpen(row) && !flat) toggle(row);
      else if (row.parent && !flat) goTo(row.parent.path);
    } else if (event.key === "Enter" || event.key === " ") {
      choose(row);
      if (row.children.length && !flat) toggle(row);
    } else return;
    event.preventDefault();
  });
  body.addEventListener("click", event => {
    const tr = event.target.closest("tr"), row = byPath.get(tr?.dataset.path);
    if (!row) return;
    const cell = event.target.closest("td, th");
    current = {path: row.path, column: cell.tagName === "TH" ? -1 : cell.cellIndex};
    choose(row);
    if (cell.tagName === "TH" && row.children.length && !flat) toggle(row);
    focusCell(false);
  });
  body.addEventListener("focusin", event => {
    const tr = event.target.closest("tr"), row = byPath.get(tr?.dataset.path);
    if (!row) return;
    current = {path: row.path, column: event.target === tr ? -1 : event.target.cellIndex};
    mark("focus", row.path);
    showTip(event.target);
  });
  body.addEventListener("focusout", () => { mark("focus", null); hideTip(); });
  body.addEventListener("pointerover", event => {
    const tr = event.target.closest("tr");
    if (!tr) return;
    mark("hover", tr.dataset.path);
    showTip(event.target.closest("td, th"));
  });
  body.addEventListener("pointerleave", () => { mark("hover", null); hideTip(); });
  document.addEventListener("keydown", event => { if (event.key === "Escape") hideTip(); });
  $("table").addEventListener("scroll", hideTip);

  // The arithmetic of a number, beside it

  function showTip(cell) {
    hideTip();
    const row = byPath.get(cell?.closest("tr")?.dataset.path);
    const text = row && cell.dataset.name ? formula(row, cell.dataset.name) : "";
    if (!text) return;
    const tip = $("tip"), box = cell.getBoundingClientRect();
    tip.textContent = text;
    tip.hidden = false;
    cell.setAttribute("aria-describedby", "tip");
    const {offsetWidth: width, offsetHeight: height} = tip;
    const left = Math.min(Math.max(box.right - width, 4), innerWidth - width - 4);
    const top = box.bottom + height + 4 < innerHeight ? box.bottom + 2 : box.top - height - 2;
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
  }

  function hideTip() {
    $("tip").hidden = true;
    body.querySelector("[aria-describedby]")?.removeAttribute("aria-describedby");
  }

  // The figure

  const SVG = "http://www.w3.org/2000/svg";

  function drawFigure() {
    const wanted = typeof level === "number" ? level : data.levels;
    const fitting = data.figures.filter(each => each.level <= wanted).at(-1) ?? data.figures[0];
    const scroll = fitting === figure?.from ? [$("figure").scrollLeft, $("figure").scrollTop] : [0, 0];
    figure = null;
    if (!fitting) {
      const text = "There are too many boxes for a figure on this page.";
      $("figure").replaceChildren(make("p", {}, text));
      return;
    }
    if (!figures.has(fitting)) figures.set(fitting, readFigure(fitting));
    figure = figures.get(fitting);
    $("figure").replaceChildren(figure.svg);
    fit();
    $("figure").scrollTo({left: scroll[0], top: scroll[1], behavior: "instant"});
    drawMarks();
  }

  const inNetworkOrder = (a, b) =>
    (byPath.get(a.dataset.path)?.place ?? 0) - (byPath.get(b.dataset.path)?.place ?? 0);

  function readFigure(from) {
    const parsed = new DOMParser().parseFromString(from.svg, "image/svg+xml").documentElement;
    const svg = document.importNode(parsed, true);
    svg.setAttribute("role", "group");
    const groups = new Map();
    for (const group of svg.querySelectorAll("g[data-path]")) {
      if (!group.dataset.path) continue;
      groups.set(group.dataset.path, group);
      group.setAttribute("role", "button");
      group.setAttribute("tabindex", "-1");
      group.setAttribute("aria-label", group.querySelector("title")?.textContent ?? "");
    }
    const order = [...groups.values()].sort(inNetworkOrder);
    order[0]?.setAttribute("tabindex", "0");
    return {from, svg, groups, order};
  }

  const LEAST_ZOOM = 0.55; // below this letters of 9.5 points are too small to read

  /* Let a figure that would be too small in its pane be as wide as it is. */
  function fit() {
    if (!figure) return;
    const wide = figure.svg.viewBox.baseVal.width;
    $("figure").classList.toggle("wide", wide * LEAST_ZOOM > $("figure").clientWidth);
  }

  /* Return the smallest box of the figure around a row. */
  function groupOf(path) {
    const row = byPath.get(path);
    if (!figure || !row) return undefined;
    let best = null;
    for (const box of figure.from.boxes) {
      const [, start, stop] = box;
      if (start > row.start || stop < row.stop) continue;
      if (!best || stop - start <= best[2] - best[1]) best = box;
    }
    return best ? figure.groups.get(best[0]) : undefined;
  }

  $("figure").addEventListener("pointerover", event => {
    mark("hover", event.target.closest("g[data-path]")?.dataset.path || null);
  });
  $("figure").addEventListener("pointerleave", () => mark("hover", null));
  $("figure").addEventListener("focusin", event => {
    mark("focus", event.target.closest("g[data-path]")?.dataset.path || null);
  });
  $("figure").addEventListener("focusout", () => mark("focus", null));
  $("figure").addEventListener("click", event => {
    const path = event.target.closest("g[data-path]")?.dataset.path;
    if (path) reveal(path);
  });
  $("figure").addEventListener("keydown", event => {
    const group = event.target.closest("g[data-path]");
    if (!group || !figure) return;
    if (event.key === "Enter" || event.key === " ") reveal(group.dataset.path);
    else {
      const {order} = figure, place = order.indexOf(group);
      const to = {ArrowDown: place + 1, ArrowRight: place + 1, ArrowUp: place - 1,
        ArrowLeft: place - 1, Home: 0, End: order.length - 1}[event.key];
      if (to === undefined) return;
      const next = order[Math.min(Math.max(to, 0), order.length - 1)];
      group.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    }
    event.preventDefault();
  });
  /* Go from a box of the figure to its row. */
  function reveal(path) {
    const row = shownRow(path);
    if (!row) return;
    choose(row);
    goTo(row.path);
  }

  // What is marked and chosen, in the table, the figure and the strips

  function mark(by, path) {
    if (path === marked[by]) return;
    marked[by] = path;
    drawMarks();
  }

  function drawMarks() {
    for (const name of ["marked", "chosen"]) {
      for (const each of document.querySelectorAll(`.${name}`)) each.classList.remove(name);
    }
    for (const [path, name] of
      [[marked.hover, "marked"], [marked.focus, "marked"], [chosen, "chosen"]]) {
      const row = path === null ? null : shownRow(path);
      if (!row) continue;
      lines.get(row.path)?.classList.add(name);
      groupOf(path)?.classList.add(name);
      for (const each of $("where").querySelectorAll(".strip span")) {
        if (each.dataset.path === row.path) each.classList.add(name);
      }
    }
  }

  function choose(row) {
    chosen = row.path;
    drawMarks();
    drawChosen();
    $("chosen").scrollTop = 0;
    const group = groupOf(row.path), pane = $("figure");
    if (!group || pane.contains(document.activeElement)) return;
    const box = group.getBoundingClientRect(), around = pane.getBoundingClientRect();
    if (box.top < around.top || box.bottom > around.bottom) {
      pane.scrollBy(0, box.top - around.top - Math.max(0, (around.height - box.height) / 2));
    }
  }

  function drawChosen() {
    const row = byPath.get(chosen);
    if (!row) {
      chosen = null;
      $("chosen").replaceChildren(make("p", {},
        "Choose a row or a box to see the arithmetic of its numbers and its receptive field."));
      return;
    }
    const list = make("dl");
    for (const {name, title} of columns) {
      if (name === "layer") continue;
      const why = formula(row, name), text = cellText(row, name);
      if (name === "non_trainable" && !BigInt(row.non_trainable)) continue;
      list.append(make("dt", {}, title), make("dd", {}, text,
        ...(why ? [make("small", {}, why)] : [])));
    }
    $("chosen").replaceChildren(make("h3", {}, row.path), ...receptive(row), list);
  }

  /* Return the receptive field drawn on the input, to scale, and a sentence about it. */
  function receptive(row) {
    if (!row.reach || !data.extent.length) {
      return [make("p", {}, row.field === "?"
        ? "An unknown layer stands before: nobody can say what a value sees of the input."
        : "Each value sees the whole input.")];
    }
    const two = list => list.length > 1 ? [list[0], list[1]] : [null, list[0]];
    const [height, width] = two(data.extent), [high, wide] = two(row.reach[0]);
    const [down, right] = two(row.reach[1]);
    const line = height === null; // one axis: the other has no extent
    const thick = Math.max(width, wide) / 12;
    const size = {
      width, height: line ? thick : height, wide, high: line ? thick : high,
      right, down: line ? 0 : down,
    };
    const left = (size.width - size.wide) / 2, top = (size.height - size.high) / 2;
    const x = Math.min(0, left), y = Math.min(0, top);
    const across = Math.max(size.width, left + size.wide + size.right) - x;
    const along = Math.max(size.height, top + size.high + size.down) - y;
    const edge = Math.max(across, along) / 100;
    const svg = document.createElementNS(SVG, "svg");
    const text = `Receptive field ${row.field} of the input ${data.input}, stride ${row.stride}`;
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", text);
    svg.setAttribute("class", "receptive");
    svg.setAttribute("viewBox",
      [x - edge, y - edge, across + 2 * edge, along + 2 * edge].join(" "));
    const rect = (kind, ...places) => {
      const each = document.createElementNS(SVG, "rect");
      ["x", "y", "width", "height"].forEach((name, i) => each.setAttribute(name, places[i]));
      each.setAttribute("class", kind);
      each.setAttribute("vector-effect", "non-scaling-stroke");
      svg.append(each);
    };
    rect("image", 0, 0, size.width, size.height);
    rect("field", left, top, size.wide, size.high);
    rect("next", left + size.right, top + size.down, size.wide, size.high);
    const beyond = size.wide > size.width || size.high > size.height;
    const more = data.extent.length > 2 ? " Two of its axes are drawn." : "";
    return [svg, make("p", {}, `Receptive field ${row.field} on the input ${data.input}` +
      `${beyond ? ", beyond its border" : ""}; dashed, that of the next value, ${row.stride} ` +
      `further.${more}`)];
  }

  // Where parameters, MACs and memory are: strips of the rows that are shown, in network order

  const SMALLEST = 0.001; // the share of a row that has a part of a strip to itself
  const LETTER = 7; // pixels of a letter in a strip

  /* Return the number of letters that a strip has room for, by the page's margins and the width of
     its titles: to measure the strip would lay out the whole table. */
  const lettersOfStrip = () => Math.max(0.94 * innerWidth - 80, 200) / LETTER;

  function drawWhere(leaves) {
    const order = [...leaves].sort((a, b) => a.place - b.place);
    const parts = [];
    const letters = lettersOfStrip();
    for (const name of ["params", "macs", "activations"]) {
      const title = name === "activations" ? "memory" : column(name).title;
      const whole = data.totals[name];
      const strip = make("div", {class: "strip", role: "img"});
      const largest = [];
      let small = 0; // the share of rows that are too small to see, since the last that is not
      const add = (part, title, path, text) => {
        const segment = make("span", {title, ...(path && {"data-path": path})}, text);
        segment.style.flexGrow = part;
        segment.style.flexBasis = "0";
        strip.append(segment);
      };
      const addSmall = () => {
        if (small) add(small, `small ones: ${percent(small)} of ${title}`, "", "");
        small = 0;
      };
      for (const row of order) {
        const part = share(row[name], whole);
        if (part < SMALLEST) {
          small += part;
          continue;
        }
        addSmall();
        const text = `${row.path}: ${percent(part)} of ${title}`;
        const fitting = [row.path, row.name, ""].find(each => each.length + 6 < part * letters) ?? "";
        add(part, text, row.path, fitting && `${fitting} ${percent(part)}`);
        largest.push({part, text});
      }
      addSmall();
      largest.sort((a, b) => b.part - a.part);
      strip.setAttribute("aria-label", largest.slice(0, 3).map(each => each.text).join("; ") ||
        `no ${title}`);
      parts.push(make("span", {}, title), strip);
    }
    $("where").replaceChildren(...parts);
  }
  $("where").addEventListener("pointerover", event => mark("hover", event.target.dataset.path ?? null));
  $("where").addEventListener("pointerleave", () => mark("hover", null));
  $("where").addEventListener("click", event => {
    if (event.target.dataset.path) reveal(event.target.dataset.path);
  });

  // Memory

  const PARTS = {weights: "weights", gradients: "gradients", optimizer: "optimizer",
    saved: "saved for backward", forward_peak: "forward peak"};

  const chosenSetting = () => {
    const own = data.setting, batch = choices.batch;
    const dtype = choices.dtype || own.dtype;
    return {
      batch: BigInt(batch || own.batch),
      training_batch: BigInt(batch || own.training_batch),
      dtype,
      bytes: data.dtypes[dtype],
      optimizer: choices.optimizer || own.optimizer,
    };
  };

  function drawSetting() {
    const own = data.setting;
    const fill = (id, options, value) => {
      $(id).replaceChildren(...options.map(each => make("option", {value: each.value}, each.label)));
      $(id).value = value;
    };
    if (!data.dtypes[choices.dtype]) choices.dtype = "";
    if (!data.optimizers.some(each => each.value === choices.optimizer)) choices.optimizer = "";
    fill("dtype", Object.keys(data.dtypes).map(value => ({value, label: value})),
      choices.dtype || own.dtype);
    fill("optimizer", data.optimizers, choices.optimizer || own.optimizer);
    if (document.activeElement !== $("batch")) $("batch").value = choices.batch || own.training_batch;
  }

  /* Return how each part of memory comes about. */
  function partFormulas() {
    const {params, trainable, optimizer_values: kept, ...values} = data.memory;
    const [weightBytes, valueBytes] = setting.bytes;
    const masks = BigInt(values.saved_mask_bytes);
    const saved = `${thousands(values.saved_values)} values * ${valueBytes} bytes`;
    return {
      weights: `${thousands(params)} * ${weightBytes} bytes`,
      gradients: `${thousands(trainable)} * ${weightBytes} bytes`,
      optimizer: `${thousands(kept[setting.optimizer])} values * ${weightBytes} bytes`,
      saved: `batch ${thousands(setting.training_batch)} * ` +
        (masks ? `(${saved} + ${thousands(masks)} bytes of masks)` : saved),
      forward_peak: `batch ${thousands(setting.batch)} * ${thousands(values.forward_values)} ` +
        `values * ${valueBytes} bytes`,
    };
  }

  function stack(figure, total, names, parts, most) {
    const title = figure.replace("_", " ");
    const strip = make("div", {class: "strip", "aria-hidden": "true"});
    strip.style.width = `${100 * share(total, most)}%`;
    const list = make("ul"), formulas = partFormulas();
    names.forEach(name => {
      const colour = `var(--part${Object.keys(PARTS).indexOf(name) + 1})`;
      const segment = make("span"), label = name === "optimizer" ?
        data.optimizers.find(each => each.value === setting.optimizer).label : PARTS[name];
      segment.style.flexGrow = share(parts[name], total);
      segment.style.setProperty("--part", colour);
      strip.append(segment);
      const item = make("li", {"data-part": name, "data-bytes": parts[name]},
        `${label} ${byteSize(parts[name])}${rest(name)}`, make("small", {}, formulas[name]));
      item.style.setProperty("--part", colour);
      list.append(item);
    });
    return make("div", {class: "stack", "data-total": total},
      make("strong", {}, `${title} ${byteSize(total)}${rest(figure)}`), strip, list);
  }

  /* Return the estimate for an engine, as long as the bytes are many, and its errors. */
  function guess(estimate, bytes, most) {
    const strip = make("div", {class: "strip", "aria-hidden": "true"}, make("span"));
    strip.style.width = `${100 * share(bytes, most)}%`;
    return make("div", {class: "stack estimate", "data-total": bytes},
      make("strong", {}, `${estimate.engine} ${byteSize(bytes)}`), strip,
      make("small", {}, `an estimate, ${estimate.accuracy}`));
  }

  function drawMemory() {
    setting = chosenSetting();
    const parts = memory(data.memory, setting);
    const estimates = data.estimates.filter(each => each.shown)
      .map(each => [each, estimated(each, parts, setting)]);
    const most = [parts.must_keep, parts.inference, ...estimates.map(([, bytes]) => bytes)]
      .reduce((a, b) => a > b ? a : b);
    $("memory").replaceChildren(
      stack("must_keep", parts.must_keep, ["weights", "gradients", "optimizer", "saved"], parts, most),
      ...estimates.map(([estimate, bytes]) => guess(estimate, bytes, most)),
      stack("inference", parts.inference, ["weights", "forward_peak"], parts, most),
    );
    const notes = [];
    if (setting.batch !== setting.training_batch) {
      notes.push(`training at batch ${thousands(setting.training_batch)}, as train: says; ` +
        `inference at batch ${thousands(setting.batch)}`);
    }
    $("setting-note").textContent = notes.join("; ");
    for (const [path, tr] of lines) {
      const cell = tr.querySelector("[data-name=memory]");
      if (cell) cell.textContent = cellText(byPath.get(path), "memory");
    }
    drawHead();
    drawChosen();
    drawClaims(parts);
    drawFamily();
  }

  for (const name of ["batch", "dtype", "optimizer"]) {
    $(name).addEventListener("input", () => {
      const input = $(name), valid = input.checkValidity() && input.value !== "";
      input.setAttribute("aria-invalid", String(!valid));
      if (!valid) {
        $("setting-note").textContent = "A batch is a whole number from 1 to 2147483647.";
        return;
      }
      choices[name] = input.value;
      drawMemory();
    });
  }
  $("setting").addEventListener("submit", event => event.preventDefault());
  $("setting").addEventListener("reset", event => {
    event.preventDefault();
    Object.assign(choices, {batch: "", dtype: "", optimizer: ""});
    $("batch").setAttribute("aria-invalid", "false");
    drawSetting();
    drawMemory();
  });

  // Claims

  /* Return a claim as it is in this setting: the same verdict as that of `archspec build`. */
  function verdict(check, parts) {
    const bytes = {weight_bytes: parts.weights, inference_bytes: parts.inference,
      "training_bytes.must_keep": parts.must_keep,
      ...Object.fromEntries(data.estimates.map(each =>
        [`training_bytes.${each.engine}`, estimated(each, parts, setting)])),
    }[check.figure];
    if (bytes === undefined || check.bound === undefined) return check;
    const bound = BigInt(check.bound);
    const holds = {"<": bytes < bound, "<=": bytes <= bound, ">": bytes > bound,
      ">=": bytes >= bound, "=": bytes === bound, "==": bytes === bound}[check.symbol];
    return {...check, found: thousands(bytes), holds};
  }

  function drawClaims(parts) {
    $("claims").hidden = !data.checks.length;
    if (!data.checks.length) return;
    const checks = data.checks.map(check => verdict(check, parts));
    const good = checks.filter(check => check.holds).length;
    const table = make("table", {},
      make("thead", {}, make("tr", {}, ...["section", "figure", "claim", "here", "verdict"].map(
        (text, place) => make("th", {scope: "col", class: place === 2 || place === 3 ? "number" : ""},
          text)))),
      make("tbody", {}, ...checks.map(check => {
        const words = check.section === "published" ? ["agrees", "differs"] : ["holds", "fails"];
        return make("tr", {}, make("td", {}, check.section), make("td", {}, check.figure),
          make("td", {class: "number"}, check.claim), make("td", {class: "number"}, check.found),
          make("td", {class: check.holds ? "good" : "bad"}, check.holds ? `\u2713 ${words[0]}` :
            `\u2717 ${words[1]}`));
      })));
    const box = $("claims").querySelector("div");
    const was = box.querySelector("details")?.open;
    const details = make("details", {}, make("summary", {class: good < checks.length ? "bad" : "good"},
      `${good} of ${checks.length} claims ${good === 1 ? "is" : "are"} true`),
      make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of claims"}, table));
    details.open = was ?? good < checks.length;
    const sources = [...new Set(checks.map(check => check.source).filter(Boolean))];
    box.replaceChildren(details, ...sources.map(text => make("p", {}, `source: ${text}`)));
  }

  // On paper there is nothing to unfold.
  let foldedClaims = false;
  addEventListener("beforeprint", () => {
    const details = $("claims").querySelector("details");
    foldedClaims = Boolean(details) && !details.open;
    if (details) details.open = true;
  });
  addEventListener("afterprint", () => {
    if (foldedClaims) $("claims").querySelector("details").open = false;
  });

  // The family's variants, and the variables

  function drawFamily() {
    const box = $("family").querySelector("div"), parts = [];
    $("family").hidden = !data.variables.length && data.variants.length < 2;
    if (data.variables.length) {
      const values = data.variables.map(({name, value}) => `${name} = ${value}`).join(", ");
      parts.push(make("p", {}, values), make("p", {}, "For other values, ",
        make("code", {}, "archspec build SPEC --set NAME=VALUE -o net.html"),
        " writes a page, and ", make("code", {}, "archspec serve SPEC"),
        " shows one that follows the file."));
    }
    if (data.variants.length > 1) {
      const titles = ["variant", "params", "MACs", "must keep", "inference"];
      const table = make("table", {},
        make("thead", {}, make("tr", {}, ...titles.map((text, place) =>
          make("th", {scope: "col", class: place ? "number" : ""}, text)))),
        make("tbody", {}, ...data.variants.map(each => {
          const bytes = memory(each.memory, setting);
          const texts = [thousands(each.params), thousands(each.macs), byteSize(bytes.must_keep),
            byteSize(bytes.inference)];
          return make("tr", {class: each.current ? "current" : "",
            ...(each.current ? {"aria-current": "true"} : {})},
            make("th", {scope: "row"}, each.name),
            ...texts.map(text => make("td", {class: "number"}, text)));
        })));
      parts.push(make("div", {class: "scroll", tabindex: "0", role: "region",
        "aria-label": "Table of variants"}, table));
    }
    box.replaceChildren(...parts);
  }

  // The rest

  /* Return what stands behind a figure of which a part is unknown; nothing behind others. */
  const rest = name => name in data.lacking ? " + ?" : "";

  function drawTotals() {
    const totals = data.totals, {macs, other_ops, activations} = data.formulas;
    const number = name => thousands(totals[name]) + rest(name), {lacking} = data;
    const tile = (title, text, ...more) => make("div", {}, make("dt", {}, title),
      make("dd", {}, text, ...more.filter(Boolean).map(each => make("small", {}, each))));
    const trained = BigInt(totals.non_trainable) ?
      `${thousands(totals.trainable)} trained, ${thousands(totals.non_trainable)} not` : "all trained";
    $("totals").replaceChildren(
      tile("parameters", number("params"), lacking.params ?? trained),
      tile("MACs", number("macs"), lacking.macs ?? `${thousands(totals.flops)} FLOPs`, macs),
      tile("other ops", number("other_ops"), lacking.other_ops, other_ops),
      tile("activations", number("activations"), lacking.activations, activations),
      tile("weight layers", number("weight_layers"), `of ${thousands(totals.layers)} layers`),
    );
  }

  function drawControls() {
    const options = [];
    for (let each = 1; each <= data.levels; each++) {
      const text = each === 1 ? "1 level" : `${each} levels`;
      options.push(make("option", {value: each}, text));
    }
    if (data.levels > 1) options.push(make("option", {value: "flat"}, "layers alone"));
    $("levels").replaceChildren(...options);
    $("levels").value = level;
    $("levels").parentElement.hidden = data.levels === 1;
    $("note").textContent = data.note;
    $("columns").querySelectorAll("label").forEach(each => each.remove());
    for (const each of columns.slice(1)) {
      const input = make("input", {type: "checkbox", value: each.name});
      input.checked = shown.includes(each.name);
      $("columns").querySelector("fieldset").append(make("label", {}, input, ` ${each.title}`));
    }
  }

  $("levels").addEventListener("change", () => {
    const value = $("levels").value;
    lines = new Map();
    unfold(value === "flat" ? value : Number(value));
    drawRows();
    drawFigure();
  });
  $("columns").addEventListener("change", event => {
    const names = new Set(shown);
    if (event.target.checked) names.add(event.target.value);
    else names.delete(event.target.value);
    shown = [...names];
    lines = new Map();
    current.column = -1;
    drawHead();
    drawRows();
  });
  addEventListener("resize", fit);

  /* Draw the page of a network, or draw it again. */
  function show(value) {
    const place = [scrollX, scrollY], table = [$("table").scrollLeft, $("table").scrollTop];
    const first = !data, focused = focusedCell(), before = byPath;
    data = value;
    columns = data.columns;
    readRows();
    setting = chosenSetting();
    lines = new Map();
    figures = new Map();
    if (!first && figure) figure.from = data.figures.find(each => each.level === figure.from.level);
    shown = first ? data.shown ?? usualColumns() : shown;
    if (!shown.includes("layer")) shown.unshift("layer");
    if (level === null || (level !== "flat" && level > data.levels)) unfold(data.level);
    for (const row of rows) { // blocks that were not there before
      if (row.block && row.level < level && !before.has(row.path)) open.add(row.path);
    }
    document.title = data.name;
    $("name").textContent = data.name;
    $("about").textContent = data.about;
    $("input").textContent = `input ${data.input}`;
    $("convention").textContent = data.convention;
    $("file").hidden = !data.file.length;
    $("file").querySelector("dl").replaceChildren(...data.file.flatMap(([name, text]) =>
      [make("dt", {}, name), make("dd", {}, text)]));
    drawTotals();
    drawSetting();
    drawControls();
    drawMemory();
    drawRows();
    drawFigure();
    if (first) return;
    if (focused) focusCell(false);
    $("table").scrollTo(...table);
    scrollTo({left: place[0], top: place[1], behavior: "instant"});
  }

  return {show, memory, estimated, byteSize};
})();
const network = JSON.parse(document.getElementById("data")?.textContent ?? "null");
if (network) archspec.show(network);
