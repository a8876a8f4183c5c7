// One press of a button, or Enter, is one message: all lines together. Custom messages are sent at once and in their
// order, also while the kernel is busy; the values of ordinary widgets are held back then.
const LOOK = "engagekit-look";  // a page has changed the definition: whoever shows answers looks whether they still hold
// Votes that no kernel has answered yet, by ballot: a kernel that dies takes none with it, as the ballot that is drawn
// next sends them again.
const KEPT = window.engagekitKept ??= new Map();
let made = 0;

function keptOf(model) {
    const key = model.get("key");
    if (!KEPT.has(key)) KEPT.set(key, new Map());
    return key ? KEPT.get(key) : new Map();
}

async function others(model) {
    const found = {};
    for (const [name, reference] of Object.entries(model.get("reads") || {})) {
        const id = String(reference).replace("IPY_MODEL_", "");
        found[name] = (await model.widget_manager.get_model(id)).get("value");
    }
    return found;
}

// Looks when the page comes into sight again, and when another page says so; never by the clock.
function watch(el, look) {
    const seen = new IntersectionObserver(entries => { if (entries.some(entry => entry.isIntersecting)) look(); });
    const back = () => { if (!document.hidden) look(); };
    seen.observe(el);
    window.addEventListener(LOOK, look);
    document.addEventListener("visibilitychange", back);
    return () => {
        seen.disconnect();
        window.removeEventListener(LOOK, look);
        document.removeEventListener("visibilitychange", back);
    };
}

// Lives as long as the model, also while the form is out of sight.
function initialize({ model }) {
    model.on("msg:custom", reply => keptOf(model).delete(reply.id));
}

function render({ model, el }) {
    const own = `engagekit-form-${Date.now()}-${made++}`;
    const inputs = new Map();
    const waiting = new Map();  // sent, not yet answered: id -> {message, action}
    const kept = keptOf(model);
    const leftOver = [...kept];
    let sent = 0;
    let saved = "";

    const rows = model.get("fields").map((field, place) => {
        const input = tag("input", {
            id: `${own}-${place}`, type: field.kind, value: field.value, placeholder: field.placeholder,
            autocomplete: field.kind === "password" ? "new-password" : "off", spellcheck: false,
        });
        inputs.set(field.name, input);
        return tag("div", { className: "engagekit-line" }, [tag("label", { htmlFor: input.id, textContent: field.label }), input]);
    });
    const buttons = tag("div", { className: "engagekit-buttons" });
    const questions = tag("div", { className: "engagekit-questions" });
    const status = tag("p", { className: "engagekit-status", role: "status" });
    const values = () => Object.fromEntries([...inputs].map(([name, input]) => [name, input.value]));
    const first = inputs.values().next().value;

    function onItsWay() {
        const open = [...waiting.values()].filter(each => each.action.label);
        if (!open.length) return;
        const names = open.map(each => each.message.values.name || each.action.label);
        status.textContent = `On its way, not stored yet: ${names.join(", ")}`;
    }

    async function send(action, given, sure = false) {
        const message = { id: `${own}:${++sent}`, act: action.act, values: given, on: today(), sure };
        waiting.set(message.id, { message, action });
        if (action.clears) kept.set(message.id, { message, action });
        // Read before the first pause: what is typed next belongs to the next message.
        if (action.reads !== false && Object.keys(model.get("reads") || {}).length) {
            message.values = { ...given, ...(await others(model)) };
        }
        model.send(message);
        setTimeout(onItsWay, 400);
    }

    function press(action, byKey) {
        const given = values();
        if (action.needs && Object.values(given).some(text => !text.trim())) {
            status.textContent = action.needs;
            return;
        }
        status.textContent = "";
        if (action.clears) {
            inputs.forEach(input => { input.value = ""; });
            if (!byKey) first.focus();
        }
        saved = JSON.stringify(given);
        send(action, given);
    }

    function draft() {
        const given = values();
        if (JSON.stringify(given) === saved) return;
        saved = JSON.stringify(given);
        send({ act: "draft", label: "", reads: false }, given);
    }

    // A kernel answers in order: what it has not answered before this, it never got.
    function sendAgain() {
        for (const [id, { message, action }] of leftOver) {
            if (kept.delete(id)) send(action, message.values, message.sure);
        }
    }

    function ask(reply, { message, action }) {
        const close = answer => { box.remove(); if (answer) send(action, message.values, true); (first || buttons.firstChild).focus(); };
        const yes = tag("button", { type: "button", className: "jupyter-button", textContent: reply.yes, onclick: () => close(true) });
        const no = tag("button", { type: "button", className: "jupyter-button", textContent: reply.no, onclick: () => close(false) });
        const box = tag("div", { className: "engagekit-question", role: "alert" }, [tag("span", { textContent: reply.ask }), yes, no]);
        questions.append(box);
    }

    function refused(reply, { message, action }) {
        const empty = [...inputs.values()].every(input => !input.value);
        if (action.clears && empty) {
            inputs.forEach((input, name) => { input.value = message.values[name]; });
            status.textContent = reply.said;
            return;
        }
        if (!action.clears) { status.textContent = reply.said; return; }
        // Somebody else is being typed: keep what was refused on a line of its own, to be taken up again.
        const again = tag("button", { type: "button", className: "jupyter-button", textContent: "Type it again" });
        const box = tag("div", { className: "engagekit-question", role: "alert" },
            [tag("span", { textContent: `${message.values.name || ""}: ${reply.said}` }), again]);
        again.onclick = () => {
            inputs.forEach((input, name) => { input.value = message.values[name]; });
            box.remove();
            [...inputs.values()].at(-1).select();
        };
        questions.append(box);
    }

    function answered(reply) {
        const about = waiting.get(reply.id);
        if (!about) return;
        waiting.delete(reply.id);
        if (![...waiting.values()].length || status.textContent.startsWith("On its way")) status.textContent = "";
        if (about.action.act === "ping") { sendAgain(); return; }
        if (about.action.defines) window.dispatchEvent(new Event(LOOK));
        if (reply.ask) ask(reply, about);
        else if (!reply.kept) refused(reply, about);
        else if (reply.said) status.textContent = reply.said;
        else onItsWay();
    }

    for (const action of model.get("actions")) {
        const button = tag("button", { type: "button", className: "jupyter-button", textContent: action.label });
        button.addEventListener("click", event => press(action, event.detail === 0));
        buttons.append(button);
    }
    const entered = model.get("actions").find(action => action.enter);
    el.addEventListener("keydown", event => {
        event.stopPropagation();  // JupyterLab takes keys for commands to the notebook
        if (event.key === "Enter" && event.target.tagName === "INPUT" && !event.isComposing) {
            event.preventDefault();
            const fields = [...inputs.values()];
            const next = fields[fields.indexOf(event.target) + 1];
            if (entered && next && !next.value) next.focus();
            else if (entered) press(entered, false);
            else draft();
        }
    });
    if (model.get("drafts")) {
        saved = JSON.stringify(values());
        inputs.forEach(input => input.addEventListener("change", draft));
    }
    const stop = model.get("watches") ? watch(el, () => { if (!waiting.size) send({ act: "look", label: "" }, {}); }) : () => {};
    model.on("msg:custom", answered);
    el.classList.add("engagekit-form");
    el.append(...rows, buttons, questions, status);
    if (leftOver.length) send({ act: "ping", label: "", reads: false }, {});
    return () => { stop(); model.off("msg:custom", answered); };
}

export default { initialize, render };
