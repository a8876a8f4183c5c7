"""The frame of the report's page: contents, sections, and its looks on a screen, in the dark, on a phone and on paper."""

from __future__ import annotations

import re

from engagekit.views import DARK, PAPER

# Colors keep a contrast of at least 4.5 : 1 on their paper; charts take the colors of a dark room, as in notebooks.
STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--quiet:#57606a;--paper:#fff;--rule:#d0d7de;--link:#0a58ca}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9aa4af;--paper:#14181d;--rule:#3a424b;--link:#7ab7ff}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0;overflow-wrap:break-word}
header,nav,main,footer{max-width:60rem;margin:0 auto;padding:0 1.2rem}header{padding-top:2rem}footer{padding-bottom:2rem}
h1{font-size:1.9rem;line-height:1.25;margin:0 0 .2rem}h2{font-size:1.35rem;margin:2.4rem 0 .4rem}p.lead{font-size:1.2rem}
a{color:var(--link)}.muted{color:var(--quiet)}
nav ul{list-style:none;padding:.6rem 0;margin:1rem 0 0;columns:15rem;border:solid var(--rule);border-width:1px 0}nav li{padding:.1rem 0}
.wide,details{overflow-x:auto}table{border-collapse:collapse;margin:.6rem 0;font-size:.92rem}
td,th{padding:.25rem .7rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top;overflow-wrap:normal}
table{font-variant-numeric:tabular-nums}
figure{margin:1rem 0}figure svg{display:block;max-width:100%;height:auto;background:#fff}.narrow{display:none}summary{cursor:pointer;color:var(--link)}
@media screen and (max-width:40rem){body{font-size:15px}h1{font-size:1.5rem}p.lead{font-size:1.05rem}figure{overflow-x:auto}.roomy{display:none}.narrow{display:block}.wide td:nth-child(2){min-width:9rem}}
@media print{@page{margin:18mm}body{font-size:10.5pt}nav,details{display:none}header{padding-top:0}
h1,h2{break-after:avoid}h2+p{break-after:avoid}figure,tr{break-inside:avoid}p{orphans:3;widows:3}thead{display:table-header-group}
.wide,figure{overflow:visible}figure svg{max-height:225mm}.wide table{font-size:8pt}.wide td,.wide th{padding:.2rem .35rem}a{color:inherit;text-decoration:none}}
"""


def _dyed() -> str:
    """Write the rules that give drawings the colors of a dark room."""
    colors = DARK | {PAPER: "var(--paper)"}
    rules = [
        f'figure svg [{part}="{before}" i]{{{part}:{after}}}'
        for before, after in colors.items()
        for part in ("fill", "stroke")
    ]
    return f"@media screen and (prefers-color-scheme:dark){{figure svg{{background:none}}{''.join(rules)}}}"


def section(title: str, lead: str, body: str) -> str:
    """Write a section under its heading, unless there is nothing to say; title and lead are HTML already."""
    if not body:
        return ""
    told = f"<p>{lead}</p>" if lead else ""
    return (
        f'<section id="{anchor(title)}" aria-label="{title}"><h2>{title}</h2>{told}{body}</section>'
    )


def anchor(title: str) -> str:
    """Name a section for links to it."""
    return re.sub(r"[^\w]+", "-", re.sub(r"&\w+;", " ", title)).strip("-").lower() or "section"


def wide(table: str) -> str:
    """Let a table that is wider than a phone move by itself, with fingers and with keys, in place of the page."""
    return f'<div class="wide" role="group" aria-label="Table" tabindex="0">{table}</div>'


def page(title: str, head: list[str], sections: list[str], foot: str) -> str:
    """Put a page together: the answer first, then what else there is, then the sections."""
    found = re.findall(r'<section id="([^"]+)" aria-label="([^"]*)">', "".join(sections))
    links = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, text in found)
    about = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{about}<style>{STYLE}{_dyed()}</style></head><body>'
        f'<header><h1>{title}</h1>{"".join(head)}</header><nav aria-label="Contents"><ul>{links}</ul></nav>'
        f"<main>{''.join(sections)}</main><footer><p class=muted>{foot}</p></footer></body></html>\n"
    )
