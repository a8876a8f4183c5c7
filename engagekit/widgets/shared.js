// What forms and the picker share: it stands before each of them, in one script.
function tag(name, more = {}, children = []) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(more)) {
        if (key in node) node[key] = value; else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
}

function today() {
    const now = new Date();
    const two = number => String(number).padStart(2, "0");
    return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

