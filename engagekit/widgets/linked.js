// Makes every mark of a chart open, by mouse and by keyboard, and shows what comes back.
const NEAR = 5;  // in pixels, of a bar without height
const OWN = "data-lm-suppress-shortcuts";  // keys pressed here are no commands to the notebook

function tag(name, text, more) {
  const made = document.createElement(name);
  if (text) { made.textContent = text; }
  Object.entries(more || {}).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
}

function datumOf(node) {
  const item = node && node.__data__;
  const kind = item && item.mark && item.mark.marktype;
  if (!item || kind === "line" || kind === "area" || kind === "group" || !item.datum) { return null; }
  return typeof item.datum.mark === "number" ? item.datum.mark : null;
}

// What a click means, the upper one first: what lies under it, and bars so empty that nothing of them can be met.
function marksAt(event, nodes) {
  const x = event.clientX, y = event.clientY;  // whole pixels, so that the target may lie beside them
  const under = [event.target, ...document.elementsFromPoint(x, y)].map(datumOf);
  const empty = nodes.filter(node => {
    const box = node.getBoundingClientRect();
    return box.width * box.height < 1 && x > box.left - NEAR && x < box.right + NEAR && y > box.top - NEAR && y < box.bottom + NEAR;
  });
  return Array.from(new Set([...under, ...empty.map(datumOf)])).filter(mark => mark !== null);
}

function button(text, act) {
  const made = tag("button", text, {type: "button"});
  made.addEventListener("click", act);
  return made;
}

function tableOf(property) {
  const table = tag("table"), head = tag("tr"), body = tag("tbody");
  [property.name, "Here", "The rest"].forEach(text => head.append(tag("th", text, {scope: "col"})));
  property.rows.forEach(row => {
    const line = tag("tr");
    row.forEach(text => line.append(tag("td", text)));
    body.append(line);
  });
  const top = tag("thead");
  top.append(head); table.append(top, body);
  return table;
}

// Listens to the marks of one chart, and shows the drawer of one below it. `item` says the chart's id and its marks.
function opening(model, el, item, number, alone) {
  const box = () => Array.from(document.querySelectorAll("#" + CSS.escape(item.id)));
  const place = tag("section", "", {class: "engagekit-drawer", "aria-live": "polite", hidden: "", [OWN]: "true"});
  let back = null, asked = null, here = [];
  el.append(place);

  function near() {
    if (alone) { return alone; }
    if (!el.isConnected) { return null; }
    const charts = box(), cell = el.closest(".jp-Cell, .cell");
    // The same chart may stand in other cells too, each with a drawer of its own.
    return (cell ? charts.find(chart => cell.contains(chart)) : charts[0]) || null;
  }

  function ask(content) { model.send(Object.assign({chart: number}, content)); }

  function open(mark, rest, from) {
    if (from !== undefined) { back = from; }
    asked = {mark, rest};
    place.hidden = false;
    place.setAttribute("aria-busy", "true");
    if (!place.childElementCount) { place.append(tag("p", "Opening…")); }
    ask({kind: "open", mark, rest});
  }

  function shut() {
    place.hidden = true; place.replaceChildren(); asked = null;
    const chart = near();
    const again = back !== null && chart && chart.querySelector('[data-engagekit-mark="' + back + '"]');
    if (again) { again.focus(); }
  }

  function save(text) {
    const link = tag("a", "", {download: "users.csv"});
    link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function show(told) {
    if (!asked || told.mark !== asked.mark || told.rest !== asked.rest) { return; }
    // The counts come first and take the focus; what follows leaves it where it is.
    const held = place.querySelector("h4") && place.contains(document.activeElement) && told.kind === "drawer";
    const head = tag("h4", told.said + ": " + told.text, {tabindex: "-1", "data-count": told.count});
    const acts = tag("div", "", {class: "engagekit-acts"});
    here.filter(mark => mark !== told.mark).forEach(mark => {
      acts.append(button("Also here: " + item.marks[mark], () => open(mark, false, mark)));
    });
    if (told.both) {
      acts.append(button(told.rest ? "Those who did" : "Those who did not", () => open(told.mark, !told.rest)));
    }
    const parts = [head, acts];
    const looking = told.kind === "counts" && !told.closed;
    parts.push(tag("p", looking ? "Looking up who they are…" : told.closed, {role: "status"}));
    if (!told.closed && !looking) {
      acts.append(button("Make this a group", () => ask({kind: "group", mark: told.mark, rest: told.rest})));
      if (told.may_take) {
        acts.append(button("CSV", () => ask({kind: "csv", mark: told.mark, rest: told.rest})));
      }
      const tables = tag("div", "", {class: "engagekit-properties"});
      told.properties.forEach(property => tables.append(tableOf(property)));
      parts.push(tables);
      told.timelines.forEach(line => {
        const chart = tag("div", "", {class: "engagekit-timeline"});
        parts.push(tag("h5", "The days of " + line.name), chart);
        if (window.engagekitRender) { window.engagekitRender(chart, line.spec, place.clientWidth || 800); }
      });
      if (told.ids) {
        const more = told.more ? " and " + told.more + " more" : "";
        parts.push(tag("p", told.ids.join(", ") + more, {class: "engagekit-ids"}));
      }
    }
    acts.append(button("Close", shut));
    place.replaceChildren(...parts);
    if (held) { head.focus({preventScroll: true}); }
    if (!looking) { place.removeAttribute("aria-busy"); }
    if (looking || told.closed || !held) { head.focus({preventScroll: true}); }
  }

  function hear(told) {
    if (told.kind === "drawer" || told.kind === "counts") { show(told); }
    else if (told.kind === "csv") { save(told.text); }
    else if (told.text) {
      const status = place.querySelector("[role=status]");
      if (status) { status.textContent = told.text; } else { place.replaceChildren(tag("p", told.text), button("Close", shut)); }
      place.removeAttribute("aria-busy");
    }
  }
  place.addEventListener("keydown", event => { if (event.key === "Escape") { event.stopPropagation(); shut(); } });

  // One stop of the Tab key per chart; arrows go from mark to mark.
  function step(event, nodes, node) {
    const from = node.getBoundingClientRect(), key = event.key;
    const middle = r => [r.left + r.width / 2, r.top + r.height / 2];
    const [x, y] = middle(from);
    const way = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1]}[key];
    if (key === "PageDown") { return nodes[(nodes.indexOf(node) + 1) % nodes.length]; }
    if (key === "PageUp") { return nodes[(nodes.indexOf(node) + nodes.length - 1) % nodes.length]; }
    if (key === "Home") { return nodes[0]; }
    if (key === "End") { return nodes[nodes.length - 1]; }
    if (!way) { return null; }
    let best = null, least = Infinity;
    nodes.forEach(other => {
      const there = other.getBoundingClientRect(), [u, v] = middle(there);
      const along = (u - x) * way[0] + (v - y) * way[1];
      // Bars of one list begin together and end apart: what lies straight ahead in part is not aside.
      const beside = way[0] ? Math.min(from.bottom, there.bottom) - Math.max(from.top, there.top)
        : Math.min(from.right, there.right) - Math.max(from.left, there.left);
      const aside = beside > 1 ? 0 : Math.abs((u - x) * way[1]) + Math.abs((v - y) * way[0]);
      const far = along + 3 * aside;
      if (other !== node && along > 0.5 && far < least) { best = other; least = far; }
    });
    if (best) { return best; }
    const next = nodes.indexOf(node) + (way[0] + way[1]);  // nothing lies that way: the next in order
    return nodes[next] || null;
  }

  function ready(chart) {
    const svg = chart.querySelector("svg.marks");
    if (!svg || svg.engagekitOpens === place) { return; }
    svg.engagekitOpens = place;
    const words = item.marks, seen = new Set(), nodes = [];
    svg.querySelectorAll("*").forEach(node => {
      const mark = datumOf(node);
      if (mark === null || !(mark in words)) { return; }
      node.style.cursor = "pointer";
      node.style.pointerEvents = "all";
      const kind = node.__data__.mark.marktype;
      if (seen.has(mark) || kind === "text" || kind === "rule") { return; }
      seen.add(mark); nodes.push(node);
      node.setAttribute("role", "button");
      node.removeAttribute("aria-roledescription"); node.removeAttribute("aria-hidden");
      node.setAttribute("aria-label", words[mark] + ". Opens.");
      node.setAttribute("data-engagekit-mark", mark);
      node.setAttribute("tabindex", nodes.length === 1 ? "0" : "-1");
      node.setAttribute(OWN, "true");
    });
    let dragged = false;
    if (item.drags) { dragging(svg, (mark, rate) => { dragged = true; setTimeout(() => { dragged = false; }, 50); ask({kind: "what if", mark, rate}); }); }
    svg.addEventListener("click", event => {
      const found = marksAt(event, nodes).filter(mark => mark in words);
      if (dragged || !found.length) { return; }
      here = found; open(found[0], false, found[0]);
    });
    svg.addEventListener("keydown", event => {
      const node = event.target, mark = datumOf(node);
      if (mark === null) { return; }
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault(); event.stopPropagation();
        here = []; open(mark, false, mark);
        return;
      }
      const next = step(event, nodes, node);
      if (next) {
        event.preventDefault(); event.stopPropagation();
        node.setAttribute("tabindex", "-1"); next.setAttribute("tabindex", "0"); next.focus();
      }
    });
    chart.setAttribute("data-engagekit-opens", nodes.length);
  }

  function look() { const chart = near(); if (chart && chart.isConnected) { ready(chart); } }
  return {look, hear, shut};
}

// A bar dragged to the side says what if its share were another.
function dragging(svg, act) {
  const bars = Array.from(svg.querySelectorAll("[data-engagekit-mark]"));
  bars.forEach(bar => { bar.style.cursor = "ew-resize"; });
  svg.style.touchAction = "none"; svg.style.userSelect = "none";
  svg.addEventListener("pointerdown", event => {
    // The line of an interval lies over its bar: whatever is taken hold of, the bar is meant.
    const mark = datumOf(event.target);
    const bar = mark === null ? null : bars.find(each => datumOf(each) === mark);
    if (!bar || event.button) { return; }
    const value = bar.__data__.datum.value, from = bar.getBoundingClientRect();
    if (!value || !from.width) { return; }
    const start = event.clientX, label = tag("div", "", {class: "engagekit-dragged", role: "status"});
    const rate = x => Math.min(1, Math.max(0, value * (1 + (x - start) / from.width)));
    let moved = false;
    function move(now) {
      moved = moved || Math.abs(now.clientX - start) >= 4;
      if (!moved) { return; }
      label.textContent = "What if " + Math.round(100 * rate(now.clientX)) + "%?";
      label.style.left = now.clientX + 12 + "px"; label.style.top = now.clientY - 34 + "px";
      if (!label.isConnected) { document.body.append(label); }
    }
    function drop(now) {
      window.removeEventListener("pointermove", move); window.removeEventListener("pointerup", drop);
      label.remove();
      if (moved) { act(mark, Math.round(100 * rate(now.clientX)) / 100); }
    }
    window.addEventListener("pointermove", move); window.addEventListener("pointerup", drop);
  });
}

// What draws is on the page once; where it is not, it is asked for, and nothing comes from elsewhere.
function scripts(model) {
  if (window.engagekitRender) { return Promise.resolve(); }
  if (!window.engagekitScripts) {
    window.engagekitScripts = new Promise(done => {
      const heard = told => {
        if (told.kind !== "scripts") { return; }
        model.off("msg:custom", heard);
        const script = tag("script", told.text);
        document.head.append(script);
        done();
      };
      model.on("msg:custom", heard);
      model.send({kind: "scripts"});
    });
  }
  return window.engagekitScripts;
}

// Arrows and letters pressed on a control are its own, and no commands to the notebook.
function ownKeys() {
  if (window.engagekitKeys) { return; }
  window.engagekitKeys = true;
  document.addEventListener("focusin", event => {
    if (event.target.closest && event.target.closest(".engagekit-controls")) { event.target.setAttribute(OWN, "true"); }
  }, true);
}

function render({model, el}) {
  ownKeys();
  let open = [];
  const grid = tag("div", "", {class: "engagekit-desk"});
  el.append(grid);

  // A chart that is the same stays; one that is another is drawn in its place, its drawer shut.
  function lay() {
    const items = model.get("charts");
    open = items.map((item, number) => {
      const before = open[number];
      if (before && before.name === item.name && before.id === item.id) { return before; }
      if (!item.spec) {
        if (before) { before.part.shut(); before.holder.remove(); }
        const holder = tag("div"); grid.append(holder);
        return {id: item.id, name: item.name, holder, part: opening(model, holder, item, number, null)};
      }
      const same = before && before.name === item.name;
      const holder = same ? before.holder : tag("div", "", {class: "engagekit-chart", role: "figure"});
      const fresh = tag("div", "", {"data-engagekit-chart": "", "data-drawn": "waiting", id: item.id, "data-name": item.name});
      holder.setAttribute("aria-label", item.label);
      if (!same) { if (before) { before.holder.replaceWith(holder); } else { grid.append(holder); } }
      const place = tag("div"); fresh.append(place);
      const old = holder.querySelector("[data-engagekit-chart]");
      if (!old) { holder.append(fresh); }
      const part = opening(model, holder, item, number, fresh);
      scripts(model).then(() => {
        const width = () => holder.clientWidth || 800;
        return window.engagekitRender(place, item.spec, width()).then(() => {
          if (old) { holder.querySelectorAll(".engagekit-drawer").forEach((each, k, all) => { if (k < all.length - 1) { each.remove(); } }); old.replaceWith(fresh); }
          fresh.setAttribute("data-drawn", "live");
          part.look();
          window.engagekitFollow(holder, () => window.engagekitRender(place, item.spec, width()).then(() => part.look()));
        });
      });
      return {id: item.id, name: item.name, holder, part};
    });
    Array.from(grid.children).slice(items.length).forEach(each => each.remove());
    look();
  }

  function look() { open.forEach(each => each.part.look()); }
  model.on("msg:custom", told => { const each = open[told.chart || 0]; if (each && told.kind !== "scripts") { each.part.hear(told); } });
  model.on("change:charts", lay);
  // A chart may be drawn before this runs, after it, or again in another width or color.
  document.addEventListener("engagekit-drawn", look);
  const first = setInterval(look, 400);
  setTimeout(() => clearInterval(first), 30000);
  lay();
  return () => { document.removeEventListener("engagekit-drawn", look); clearInterval(first); };
}

export default { render };
