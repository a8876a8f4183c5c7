// Makes every mark of a chart open, by mouse and by keyboard, and shows what comes back.
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

function render({model, el}) {
  const box = () => Array.from(document.querySelectorAll("#" + CSS.escape(model.get("chart"))));
  const place = tag("section", "", {class: "engagekit-drawer", "aria-live": "polite", hidden: "", [OWN]: "true"});
  let back = null, asked = null;
  el.append(place);

  function near() {
    const charts = box();
    const cell = el.closest(".jp-Cell, .cell");
    return charts.find(chart => cell && cell.contains(chart)) || charts[0] || null;
  }

  function ask(content) { model.send(content); }

  function open(mark, rest, from) {
    if (from) { back = from; }
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

  model.on("msg:custom", told => {
    if (told.kind === "drawer" || told.kind === "counts") { show(told); }
    else if (told.kind === "csv") { save(told.text); }
    else {
      const status = place.querySelector("[role=status]");
      if (status) { status.textContent = told.text; } else { place.replaceChildren(tag("p", told.text), button("Close", shut)); }
      place.removeAttribute("aria-busy");
    }
  });
  place.addEventListener("keydown", event => { if (event.key === "Escape") { event.stopPropagation(); shut(); } });

  // One stop of the Tab key per chart; arrows go from mark to mark.
  function step(event, nodes, node) {
    const from = node.getBoundingClientRect(), key = event.key;
    const middle = r => [r.left + r.width / 2, r.top + r.height / 2];
    const [x, y] = middle(from);
    const way = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1]}[key];
    if (key === "Home") { return nodes[0]; }
    if (key === "End") { return nodes[nodes.length - 1]; }
    if (!way) { return null; }
    let best = null, least = Infinity;
    nodes.forEach(other => {
      const [u, v] = middle(other.getBoundingClientRect());
      const along = (u - x) * way[0] + (v - y) * way[1];
      const aside = Math.abs((u - x) * way[1]) + Math.abs((v - y) * way[0]);
      const far = along + 3 * aside;
      if (other !== node && along > 0.5 && far < least) { best = other; least = far; }
    });
    if (best) { return best; }
    const next = nodes.indexOf(node) + (way[0] + way[1]);  // nothing lies that way: the next in order
    return nodes[next] || null;
  }

  function ready(chart) {
    const svg = chart.querySelector("svg.marks");
    if (!svg || svg.engagekitOpens === model) { return; }
    svg.engagekitOpens = model;
    const words = model.get("marks"), seen = new Set(), nodes = [];
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
    svg.addEventListener("click", event => {
      const mark = datumOf(event.target);
      if (mark !== null && mark in words) { open(mark, false, mark); }
    });
    svg.addEventListener("keydown", event => {
      const node = event.target, mark = datumOf(node);
      if (mark === null) { return; }
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault(); event.stopPropagation(); open(mark, false, mark);
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
  // A chart may be drawn before this runs, after it, or again in another width or color.
  const drawn = event => { if (event.target.id === model.get("chart")) { look(); } };
  document.addEventListener("engagekit-drawn", drawn);
  model.on("change:chart", () => { shut(); look(); });
  const first = setInterval(look, 400);
  setTimeout(() => clearInterval(first), 30000);
  look();
  return () => { document.removeEventListener("engagekit-drawn", drawn); clearInterval(first); };
}

export default { render };
