// Draws the charts of a page: in the colors of the page, as wide as the page, and again when either changes.
(function () {
  if (window.engagekitDraw) { return; }
  __BUNDLE__
  var DARK = __DARK__;
  var LEAST = 120;
  var ROOM = 46;  // what the menu beside a drawing takes
  var PADDING = 8;  // around a drawing, as its looks say
  var embed = window.engagekitEmbed;

  function isDark() {
    var body = document.body;
    return body.dataset.jpThemeLight === "false" || body.classList.contains("vscode-dark");
  }

  // The same specification in the colors of a dark room.
  function dyed(value) {
    if (typeof value === "string") { return Object.prototype.hasOwnProperty.call(DARK, value) ? DARK[value] : value; }
    if (Array.isArray(value)) { return value.map(dyed); }
    if (value && typeof value === "object") {
      var made = {};
      Object.keys(value).forEach(function (key) { made[key] = dyed(value[key]); });
      return made;
    }
    return value;
  }

  function moved(node, before, after) {
    var x = node.encoding && node.encoding.x;
    if (x && typeof x.value === "number") {
      x.value = x.value > before ? x.value + after - before : x.value * after / before;
    }
    (node.layer || []).forEach(function (part) { moved(part, before, after); });
  }

  function measured(node) {
    var y = (node.encoding && node.encoding.y) || {};
    return y.type === "quantitative" || (node.layer || []).some(measured);
  }

  var pen = document.createElement("canvas").getContext("2d");

  // Break the words of a heading anew, so that they take the room there is and no more.
  function packed(words, room) {
    var made = [], line = "";
    words.forEach(function (word) {
      var longer = line ? line + " " + word : word;
      if (line && pen.measureText(longer).width > room) { made.push(line); line = word; } else { line = longer; }
    });
    return line ? made.concat(line) : made;
  }

  // No line of one word: as many lines as there must be, each about as long as the others.
  function broken(lines, font, room) {
    var words = [].concat(lines || []).join(" ").split(" ");
    pen.font = font;
    var made = packed(words, room), evened = made;
    for (var less = room; made.length > 1 && evened.length === made.length && less > room / 2; less -= 16) {
      made = evened; evened = packed(words, less);
    }
    return made;
  }

  function headed(spec, room) {
    var title = spec.title, looks = (spec.config && spec.config.title) || {};
    var family = (spec.config && spec.config.font) || "sans-serif";
    if (!title || typeof title !== "object") { return spec; }
    title.text = broken(title.text, "bold " + (looks.fontSize || 20) + "px " + family, room);
    title.subtitle = broken(title.subtitle, (looks.subtitleFontSize || 14) + "px " + family, room);
    return spec;
  }

  // Make views wider by so many pixels in all; what stands beside a view moves along.
  function stretch(node, more) {
    var beside = node.hconcat || node.concat;
    if (beside) {
      var wide = beside.filter(function (part) { return typeof part.width === "number"; }).length || 1;
      beside.forEach(function (part) { stretch(part, more / wide); });
    } else if (node.vconcat) {
      node.vconcat.forEach(function (part) { stretch(part, more); });
    } else if (typeof node.width === "number") {
      var before = node.width;
      node.width = Math.max(LEAST, Math.round(before + more));
      moved(node, before, node.width);
      if (typeof node.height === "number" && measured(node)) {
        node.height = Math.round(node.height * Math.min(1.4, Math.max(1, Math.sqrt(node.width / before))));
      }
    }
    return node;
  }

  // How wide a drawing is without its heading: that takes the room there is, and the plot must follow the page all the same.
  function breadth(drawn) {
    var inner = drawn.view.scenegraph().root.items[0].items;
    var parts = inner.filter(function (part) { return part.role !== "title" && part.bounds.x1 <= part.bounds.x2; });
    var ends = parts.map(function (part) { return part.bounds; });
    return Math.max.apply(null, ends.map(function (b) { return b.x2; })) - Math.min.apply(null, ends.map(function (b) { return b.x1; })) + 2 * PADDING;
  }

  // Draw into a place of that width; resolves to vega-embed's result, its drawing in `place`.
  async function render(place, spec, width, options) {
    var dark = isDark();
    var base = dark ? dyed(spec) : spec;
    var more = 0, made = null, fresh = null;
    for (var turn = 0; turn < 4; turn += 1) {
      var next = stretch(JSON.parse(JSON.stringify(base)), more);
      if (width >= 2 * LEAST) { headed(next, width - ROOM - 24); }
      if (dark) { next.config = Object.assign({}, next.config, {background: "transparent"}); }
      var spot = document.createElement("div");
      var drawn = await embed(spot, next, Object.assign({
        mode: "vega-lite", renderer: "svg", downloadFileName: "engagekit", tooltip: {theme: dark ? "dark" : "light"},
        actions: {export: true, source: false, compiled: false, editor: false}
      }, options || {}));
      if (made) { made.finalize(); }
      made = drawn; fresh = spot;
      var left = width - ROOM - breadth(drawn);
      if (width < 2 * LEAST || Math.abs(left) < 8 || (left < 0 && more + left < -400)) { break; }
      more += left;
    }
    var drawing = fresh.querySelector("svg.marks");
    drawing.style.maxWidth = "100%"; drawing.style.height = "auto"; drawing.style.overflow = "visible";
    var menu = fresh.querySelector("summary");
    if (menu) { menu.setAttribute("aria-label", "Save this picture"); }
    if (place.engagekitDrawn) { place.engagekitDrawn.finalize(); }
    place.engagekitDrawn = made;
    fresh.style.display = "block";
    place.replaceChildren(fresh);
    (place.closest("[data-engagekit-chart]") || place).dispatchEvent(new CustomEvent("engagekit-drawn", {bubbles: true}));
    return made;
  }

  // Draw again when the page turns dark or light, or gives more or less room.
  function follow(box, again) {
    var width = box.clientWidth, dark = isDark(), waits = null;
    function look() {
      if (!box.isConnected) { sizes.disconnect(); colors.disconnect(); return; }
      if (box.clientWidth < 2 * LEAST || (Math.abs(box.clientWidth - width) < 8 && dark === isDark())) { return; }
      width = box.clientWidth; dark = isDark();
      again();
    }
    function soon() { clearTimeout(waits); waits = setTimeout(look, 150); }
    var sizes = new ResizeObserver(soon), colors = new MutationObserver(soon);
    sizes.observe(box);
    colors.observe(document.body, {attributes: true, attributeFilter: ["data-jp-theme-light", "class"]});
  }

  window.engagekitRender = render;
  window.engagekitFollow = follow;
  window.engagekitDraw = function () {
    document.querySelectorAll("[data-engagekit-chart]:not([data-drawn])").forEach(function (box) {
      var source = box.querySelector("script[type='application/json']");
      var picture = box.querySelector("img");
      if (!source || !picture) { return; }
      box.setAttribute("data-drawn", "waiting");
      var place = document.createElement("div"), spec = JSON.parse(source.textContent);
      render(place, spec, box.clientWidth).then(function () {
        picture.replaceWith(place);
        box.setAttribute("data-drawn", "live");
        box.dispatchEvent(new CustomEvent("engagekit-drawn", {bubbles: true}));
        follow(box, function () { render(place, spec, box.clientWidth); });
      }, function (error) { box.setAttribute("data-drawn", "no"); console.warn(String(error)); });
    });
  };
}());
window.engagekitDraw();
