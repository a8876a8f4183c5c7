"""Build the handbook as a folder of static pages, and check its links: python -m tests.website [FOLDER]

Functions come from their docstrings (by pdoc, with its search), notebooks from their stored outputs, the gallery from
the charts' test cases, the rest from README.md, engagekit/README.md, engagekit/CHANGES.md and notebooks/README.md. Nothing
on any page asks for anything from the internet. The folder is `.site`, which git ignores; any static host takes it.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import posixpath
import re
import shutil
import subprocess
import sys
import time
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent
SITE = ROOT / ".site"
DOCUMENTS = {
    "README.md": ("index.html", "Start"),
    "engagekit/README.md": ("handbook.html", "Handbook"),
    "notebooks/README.md": ("course.html", "Course"),
    "engagekit/CHANGES.md": ("changes.html", "Changes"),
}
PLACES = {  # what pages link to in the repository -> where it stands in the site
    **{path: page for path, (page, _) in DOCUMENTS.items()},
    "notebooks/pictures/loop.png": "pictures/loop.png",
}
NAVIGATION = [
    *DOCUMENTS.values(),
    ("gallery.html", "Gallery"),
    ("api/engagekit.html", "Functions"),
    ("llms.txt", "For assistants"),
]
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --paper: #fff; --rule: #d0d7de; --box: #f6f8fa; --link: #0a58ca; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9aa4af; --paper: #14181d; --rule: #3a424b; --box: #1f252c; --link: #7ab7ff; } }
body { font: 17px/1.6 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0; overflow-wrap: break-word; }
nav, main, footer { max-width: 52rem; margin: 0 auto; padding: 0 1rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; padding: .8rem 0; border-bottom: 1px solid var(--rule); }
a { color: var(--link); } img { max-width: 100%; height: auto; background: #fff; }
pre { background: var(--box); padding: .8rem 1rem; overflow-x: auto; font-size: .85rem; } code { font-size: .9em; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .93rem; }
th, td { border: 1px solid var(--rule); padding: .35rem .7rem; text-align: left; vertical-align: top; overflow-wrap: normal; }
blockquote { border-left: .25rem solid var(--rule); margin: 0; padding: 0 1rem; color: var(--quiet); }
[data-engagekit-chart] { padding: .5rem; margin: 1rem 0 2.5rem; }
footer { color: var(--quiet); font-size: .9rem; padding: 2rem 1rem; }
@media print { nav, footer { display: none; } }
"""
# Prompts and numbers in exported notebooks are too pale to read.
# Over pdoc's own: dark enough to be read, and links known by more than their color.
PDOC_READABLE = """
.pdoc .attr span, .pdoc .codehilite span, .pdoc .pdoc-code span, .pdoc code { color: #24292f !important; }
.pdoc section a, .pdoc .attr a { text-decoration: underline !important; color: #0a58ca !important; }
.pdoc .attr { overflow: visible !important; overflow-wrap: anywhere; }
"""


def build(site: Path) -> None:
    """Write every page into an empty folder."""
    if site.exists():
        shutil.rmtree(site)
    (site / "pictures").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / "pictures" / "loop.png", site / "pictures")
    for path, (page, title) in DOCUMENTS.items():
        body = from_markdown((ROOT / path).read_text(encoding="utf-8"), Path(path).parent)
        if page == "course.html":
            body = re.sub(r"<code>([\w-]+)</code>", _notebook_link, body)
        (site / page).write_text(framed(title, body), encoding="utf-8")
    functions(site / "api")
    notebooks(site / "notebooks")
    (site / "gallery.html").write_text(framed("Gallery", gallery()), encoding="utf-8")
    (site / "llms.txt").write_text(for_assistants(), encoding="utf-8")


def framed(title: str, body: str) -> str:
    """Put a page's content between the navigation and the foot that all pages share."""
    links = "".join(f'<li><a href="{page}">{name}</a></li>' for page, name in NAVIGATION)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · engagekit</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f'<body><nav aria-label="Site"><ul>{links}</ul></nav>\n<main>\n{body}\n</main>\n'
        "<footer>engagekit, MIT licence. These pages ask nothing of the internet.</footer></body></html>\n"
    )


def from_markdown(text: str, folder: Path) -> str:
    """Turn a document of the repository into HTML: headings can be linked to, links lead to pages of the site."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark").enable("table")
    tokens = reader.parse(text)
    for before, token in itertools.pairwise(tokens):
        if before.type == "heading_open":
            before.attrSet("id", anchor(token.content))
        for part in token.children or []:
            for name in ("href", "src"):
                if found := part.attrGet(name):
                    part.attrSet(name, _moved(str(found), folder))
    html = reader.renderer.render(tokens, reader.options, {})
    html = html.replace("<pre>", '<pre tabindex="0">')  # what scrolls can be scrolled with keys
    return html.replace("<table>", '<div class="wide" tabindex="0"><table>').replace("</table>", "</table></div>")  # fmt: skip


def anchor(heading: str) -> str:
    """Name a heading as GitHub does."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _moved(link: str, folder: Path) -> str:
    path, _, heading = link.partition("#")
    place = posixpath.normpath((folder / path).as_posix())
    if path and place in PLACES:
        return PLACES[place] + (f"#{heading}" if heading else "")
    return link


def _notebook_link(found: re.Match[str]) -> str:
    name = found[1]
    there = (ROOT / "notebooks" / f"{name}.ipynb").is_file()
    return f'<a href="notebooks/{name}.html">{found[0]}</a>' if there else found[0]


def functions(folder: Path) -> None:
    """Let pdoc write every public function from its docstring; equations are plain text, so no script draws them."""
    command = [sys.executable, "-m", "pdoc", "-d", "numpy", "--no-show-source"]
    told = ["--footer-text", "engagekit", "-o", str(folder), "engagekit"]
    done = subprocess.run([*command, *told], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pdoc failed:\n{done.stderr}")
    for page in folder.rglob("*.html"):
        # Where a class inherits from a private one, pdoc links to what it does not show.
        html = re.sub(r'<a href="[^"]*#_[^"]*">(.*?)</a>', r"\1", page.read_text(encoding="utf-8"))
        page.write_text(_accessible(html), encoding="utf-8")


def _accessible(html: str) -> str:
    """Mend what pdoc leaves to a screen reader, to the keyboard and to the eye."""
    html = re.sub(r'<a class="headerlink" href="#([^"]*)"></a>', r'<a class="headerlink" href="#\1" aria-label="Link to \1"></a>', html)  # fmt: skip
    html = re.sub(
        r"<(/?)h[56]\b", r"<\1h2", html
    )  # sections of a docstring, right below the name's own heading
    html = html.replace("<pre>", '<pre tabindex="0">')
    return html.replace("</head>", f"<style>{PDOC_READABLE}</style></head>", 1)


def notebooks(folder: Path) -> None:
    """Turn the stored notebooks into pages."""
    from engagekit.views.offline import export_html

    folder.mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = folder / f"{path.stem}.html"
        export_html(path, page)
        html = page.read_text(encoding="utf-8")
        back = '<nav aria-label="Site" style="padding:.8rem 1rem"><a href="../course.html">The course</a> · <a href="../index.html">engagekit</a></nav>'
        html = re.sub(r"(<body[^>]*>)", rf"\1{back}", html, count=1)
        page.write_text(re.sub(r'(href="[\w-]+)\.ipynb', r"\1.html", html), encoding="utf-8")


def gallery() -> str:
    """Draw each chart from the small answers that its tests use, with the call that draws it."""
    sys.path[:0] = [str(ROOT / "tests")]
    from chart_cases import PLAIN, drawn

    from engagekit.views import offline

    parts = [
        "<h1>Gallery</h1><p>One chart per answer, each on a small made answer. Each draws without internet, brings its "
        "numbers as a table, and has a table of the same name in <code>ek.tables</code>.</p>",
        offline.setup_html(),
    ]
    for case in PLAIN:
        name, _, more = case.partition(" ")
        call = f'<a href="api/engagekit/charts.html#{name}"><code>ek.charts.{name}</code></a>'
        parts += [f'<h2 id="{anchor(case)}">{call} {escape(more)}</h2>', offline.chart_html(drawn(case)[0])]  # fmt: skip
    return "\n".join(parts)


def for_assistants() -> str:
    """List what there is in the form of llms.txt: a title, a summary, and links with a line each."""
    import engagekit as ek

    lines = [
        "# engagekit",
        "",
        "> Reads a product's event log and says where momentum breaks earliest for most users, how sure that is, and what "
        "to do first. Numbers come with intervals; users too new to judge are left out; undecided is an answer.",
        "",
        "Start with `engagekit draft EVENTS -o definition.toml`, then `engagekit diagnose EVENTS -d definition.toml --json`.",
        "",
        "## Pages",
        "",
        *(
            f"- [{title}]({page})"
            for page, title in [*DOCUMENTS.values(), ("gallery.html", "Gallery")]
        ),
        "",
        "## Functions",
        "",
    ]
    for name in sorted(ek.__all__):
        thing = getattr(ek, name)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            lines.append(f"- [{name}](api/engagekit.html#{name}): {first_line(thing)}")
    charts = importlib.import_module("engagekit.charts")
    lines += ["", "## Charts", ""]
    lines += [f"- [{name}](api/engagekit/charts.html#{name}): {first_line(getattr(charts, name))}" for name in charts.__all__]  # fmt: skip
    return "\n".join(lines) + "\n"


def first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]


class Links(HTMLParser):
    """What one page links to, what it loads, and where in it one can land."""

    LOADS = frozenset({"script", "img", "iframe", "source", "video", "audio", "embed"})

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.landings: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.landings |= {value for name in ("id", "name") if (value := given.get(name))}
        for name in ("href", "src"):
            if value := given.get(name):
                loads = tag in self.LOADS or (tag == "link" and given.get("rel") != "canonical")
                (self.loads if loads else self.links).append(value)


def faults(site: Path) -> list[str]:
    """Name each link that leads nowhere, and whatever a page would load from elsewhere."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path.resolve()] = reader = Links()
        reader.feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve()).as_posix()
        found += [f"{name} loads {link} from elsewhere" for link in page.loads if _outside(link)]
        found += [f"{name}: {wrong}" for link in dict.fromkeys(page.links + page.loads) if (wrong := _dead(link, path, pages))]  # fmt: skip
    for link in re.findall(r"\]\(([^)]+)\)", _text(site / "llms.txt")):
        if wrong := _dead(link, (site / "llms.txt").resolve(), pages):
            found.append(f"llms.txt: {wrong}")
    return found


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _outside(link: str) -> bool:
    return link.startswith("//") or urlsplit(link).scheme in {"http", "https"}


def _dead(link: str, page: Path, pages: dict[Path, Links]) -> str:
    """Say what is wrong with a link, if anything; what lies outside the site is not asked."""
    asked = urlsplit(link)
    if asked.scheme or asked.netloc:
        return ""
    target = (page.parent / unquote(asked.path)).resolve() if asked.path else page
    if not target.is_file():
        return f"{link} leads to no file"
    landing = unquote(asked.fragment)
    if landing and target in pages and landing not in pages[target].landings:
        return f"{link} leads to no such place in {target.name}"
    return ""


def main(arguments: list[str]) -> int:
    site, start = Path(arguments[0]) if arguments else SITE, time.monotonic()
    build(site)
    wrong = faults(site)
    pages = len(list(site.rglob("*.html")))
    size = sum(p.stat().st_size for p in site.rglob("*") if p.is_file()) / 1e6
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{pages} pages, {size:.0f} MB, in {time.monotonic() - start:.0f} s: {site}; {len(wrong)} dead links")  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
