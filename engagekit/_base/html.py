"""Tables and pages as HTML: the same markup in reports, beside charts and in what a workshop keeps; foreign text is inert."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from engagekit._base.formatting import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jinja2 import Environment

_TABLE = """\
<table>
{%- if headers %}<thead><tr>
{%- for text in headers %}<th scope="col" style="text-align:{{ 'left' if loop.index0 < texts else 'right' }}">{{ text }}</th>{% endfor -%}
</tr></thead>{% endif -%}
<tbody>
{%- for row in rows %}<tr>
{%- for text in row -%}
{% if named and loop.first %}<th scope="row">{{ text }}</th>
{%- else %}<td style="text-align:{{ 'left' if loop.index0 < texts else 'right' }}">{{ text }}</td>{% endif -%}
{% endfor -%}
</tr>{% endfor -%}
</tbody></table>"""


@functools.cache
def _templates() -> Environment:
    from jinja2 import DictLoader, Environment

    # What is not markup of our own is made plain, then escaped.
    return Environment(
        loader=DictLoader({"table": _TABLE}),
        autoescape=True,
        finalize=lambda value: value if hasattr(value, "__html__") else plain(value),
    )


def table_in_html(
    rows: Iterable[Sequence[object]],
    *,
    headers: Sequence[str] = (),
    texts: int = 1_000,
    named: bool = False,
) -> str:
    """Write a table: the first `texts` columns to the left, numbers to the right; `named` rows begin with their name.

    Examples
    --------
    >>> table_in_html([("Link", "<b>Habit")], named=True)
    '<table><tbody><tr><th scope="row">Link</th><td style="text-align:left">&lt;b&gt;Habit</td></tr></tbody></table>'
    """
    shown = _templates().get_template("table")
    return shown.render(rows=rows, headers=headers, texts=texts, named=named)
