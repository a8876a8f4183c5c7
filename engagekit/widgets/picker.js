// A table of events and roles. A tick is sent at once and on its own, so that two people who pick at once both count.
const MOST = 200;
let made = 0;

function render({ model, el }) {
    const own = `engagekit-picker-${Date.now()}-${made++}`;
    const number = new Intl.NumberFormat("en-US");
    const search = tag("input", { id: own, type: "search", placeholder: "part of a name", autocomplete: "off", spellcheck: false });
    const found = tag("span", { className: "engagekit-found", role: "status" });
    const body = tag("tbody");
    const steps = tag("ol", { className: "engagekit-steps" });
    const [reached, completed] = ["It begins with", "It is completed by"].map((text, place) => {
        const choice = tag("select", { id: `${own}-step-${place}` }, [tag("option", { value: "", textContent: place ? "(choose)" : "(the step before)" })]);
        choice.append(...model.get("rows").filter(row => row.event).map(row => tag("option", { value: row.event, textContent: row.shown })));
        return { choice, line: tag("span", {}, [tag("label", { htmlFor: choice.id, textContent: `${text} ` }), choice]) };
    });
    const add = tag("button", { type: "button", className: "jupyter-button", textContent: "Add step" });
    const status = tag("p", { className: "engagekit-status", role: "status" });
    const undo = tag("button", { type: "button", className: "jupyter-button", textContent: "Undo" });
    const confirm = tag("button", { type: "button", className: "jupyter-button", textContent: "We confirm this definition" });
    let sent = 0;
    let first = null;  // what was picked when the table was drawn stands on top, and stays there while people tick

    const picked = () => model.get("picked");
    const send = content => model.send({ id: ++sent, on: today(), ...content });

    function cell(role, row) {
        const single = role.single;
        const input = tag("input", {
            type: single ? "radio" : "checkbox", "aria-label": `${role.label}: ${row.shown}`,
            checked: picked()[role.name].includes(row.event),
        });
        input.dataset.role = role.name;
        input.dataset.event = row.event;
        input.onchange = () => send({ act: "pick", values: { role: role.name, event: row.event, ticked: input.checked } });
        return tag("td", {}, [tag("label", {}, [input])]);
    }

    function draw() {
        const wanted = search.value.trim().toLowerCase();
        const roles = model.get("roles");
        first ??= new Set(Object.values(picked()).flat());
        const rows = model.get("rows").filter(row => row.shown.toLowerCase().includes(wanted));
        rows.sort((a, b) => first.has(b.event) - first.has(a.event));
        const shown = rows.slice(0, MOST);
        body.replaceChildren(...shown.map(row => tag("tr", {}, [
            tag("th", { scope: "row", textContent: row.shown }),
            tag("td", { textContent: row.users === null ? "" : number.format(row.users) }),
            tag("td", { textContent: row.again }),
            ...roles.map(role => row.event === "" && role.name !== "signup" ? tag("td") : cell(role, row)),
        ])));
        const more = rows.length - shown.length;
        const events = some => number.format(some.filter(row => row.event !== "").length);
        found.textContent = `${events(rows)} of ${events(model.get("rows"))}${more ? `; the first ${MOST} shown` : ""}`;
        undo.disabled = !model.get("undoable");
        confirm.hidden = !model.get("guessed");
    }

    function list() {
        steps.replaceChildren(...model.get("steps").map(step => tag("li", {}, [
            `${step.shown} `,
            tag("button", {
                type: "button", className: "jupyter-button", textContent: "Remove", "aria-label": `Remove the step ${step.name}`,
                onclick: () => send({ act: "drop step", values: { name: step.name } }),
            }),
        ])));
    }

    // The marks alone, so that the place in the list and the focus stay.
    function mark() {
        body.querySelectorAll("input").forEach(input => {
            input.checked = picked()[input.dataset.role].includes(input.dataset.event);
        });
        undo.disabled = !model.get("undoable");
        confirm.hidden = !model.get("guessed");
    }

    function answered(reply) {
        status.textContent = reply.said || "";
        mark();
        window.dispatchEvent(new Event("engagekit-look"));  // open pages say that they are of an older definition
    }

    add.onclick = () => send({ act: "add step", values: { reached: reached.choice.value, completed: completed.choice.value } });
    undo.onclick = () => send({ act: "undo" });
    confirm.onclick = () => send({ act: "confirm" });
    search.oninput = draw;
    el.addEventListener("keydown", event => event.stopPropagation());  // JupyterLab takes keys for commands to the notebook
    const heads = ["Event", "Users", "On more than one day", ...model.get("roles").map(role => role.label)];
    const table = tag("table", {}, [
        tag("caption", { textContent: "Tick what each event means" }),
        tag("thead", {}, [tag("tr", {}, heads.map(text => tag("th", { scope: "col", textContent: text })))]),
        body,
    ]);
    el.classList.add("engagekit-form", "engagekit-picker");
    el.append(
        tag("div", { className: "engagekit-search" }, [tag("label", { htmlFor: own, textContent: "Search events" }), search, found]),
        tag("div", { className: "engagekit-rows", tabIndex: 0, role: "region", "aria-label": "Events and what they mean" }, [table]),
        tag("p", { className: "engagekit-found", textContent: "Steps on the way to activation, in their order" }), steps,
        tag("div", { className: "engagekit-search" }, [reached.line, completed.line, add]),
        tag("div", { className: "engagekit-search" }, [undo, confirm]), status,
    );
    draw();
    list();
    model.on("msg:custom", answered);
    model.on("change:picked change:undoable change:guessed", mark);
    model.on("change:steps", list);
    return () => {
        model.off("msg:custom", answered); model.off("change:steps", list);
        model.off("change:picked change:undoable change:guessed", mark);
    };
}

export default { render };
