"""Charts show themselves without a setup call: offline, inert, also when a user makes others of them; only ours do."""

from __future__ import annotations

import io
import json
import re
import shutil

import altair as alt
import chart_frames as frames
import pytest
from chart_cases import PLAIN

from engagekit import charts
from engagekit.errors import ParameterError, StoredFileError
from engagekit.views import offline
from engagekit.views.display import displayed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Long names are cut, so a script is put together of several, each ending in a comment of the next.
BREAKS_OUT = ("</script><script>/*", "*/alert(1)/*", "*/</SCRIPT >")
NAMES = (*BREAKS_OUT, "<!--<script>")  # after the last, HTML would read on to the end of the page
OUTSIDE = re.compile(r"<(script|link|img|iframe)[^>]+(src|href)=[\"']?(https?:)?//", re.IGNORECASE)


def ours():
    return charts.funnel(frames.funnel(NAMES, (100, 80, 60, 40)))


def theirs():
    rows = alt.InlineData(values=[{"a": 1, "b": "x"}])
    return alt.Chart(rows).mark_point().encode(x="a:Q", y="b:N")


def single():
    """One view with hostile names, as our smallest charts are."""
    rows = alt.InlineData(values=[{"a": k, "b": name} for k, name in enumerate(NAMES)])
    return displayed(alt.Chart(rows).mark_point().encode(x="a:Q", y="b:N"))


def bundle(chart):
    found = chart._repr_mimebundle_()
    return found[0] if isinstance(found, tuple) else found


def plain(shown):
    """Leave out the names that altair draws by lot."""
    return {kind: re.sub(r"altair-viz-\w+", "", text) for kind, text in shown.items()}


def scripts(html):
    return len(re.findall(r"<script", html, re.IGNORECASE))


# Whatever a user may make of one of our charts.
MADE = {
    "as it comes": lambda c: c,
    "properties": lambda c: c.properties(title="Mine"),
    "configured": lambda c: c.configure_axis(grid=False),
    "interactive": lambda c: c.interactive(),
    "copied": lambda c: c.copy(),
    "beside another": lambda c: c | c,
    "below another": lambda c: c & c,
    "over another": lambda c: c + theirs(),
    "beside theirs": lambda c: c | theirs(),
    "below theirs": lambda c: c & theirs(),
    "three": lambda c: (c | c) & c,
    "joined, then named": lambda c: (c | theirs()).properties(title="Both"),
    "joined, then resolved": lambda c: (c & theirs()).resolve_scale(color="independent"),
    "repeated": lambda c: c.repeat(["a", "b"]),
    "one view over theirs": lambda _: single() + theirs(),
    "one view per value": lambda _: single().facet("b:N"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", PLAIN)
def test_every_chart_shows_itself_offline_whatever_the_renderer(name):
    before = alt.renderers.active
    chart, _ = PLAIN[name]()
    assert bundle(chart) == offline.mimebundle(chart.to_dict())
    assert not OUTSIDE.search(bundle(chart)["text/html"])
    with alt.renderers.enable("html"):
        assert bundle(chart) == offline.mimebundle(chart.to_dict())
    assert alt.renderers.active == before


@pytest.mark.thorough
@pytest.mark.parametrize("name", MADE)
def test_what_is_made_of_a_chart_stays_offline_and_inert(name):
    made = MADE[name](ours())
    html = bundle(made)["text/html"]
    assert "data-engagekit-chart" in html
    assert not OUTSIDE.search(html)
    # The specification and the call to draw it; none of a name.
    assert scripts(html) == 2
    assert "<!--" not in html
    # What it holds is what was put in.
    found = json.dumps(made.to_dict(), ensure_ascii=False)
    assert NAMES[0] in found
    assert "\u2060" not in found


@pytest.mark.thorough
@pytest.mark.parametrize("name", MADE)
def test_what_is_made_of_a_chart_is_saved_offline_and_inert(tmp_path, name):
    made = MADE[name](ours())
    made.save(tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert not OUTSIDE.search(page)
    assert "cdn.jsdelivr" not in page
    source = re.search(r'<script type="application/json">(.*?)</script>', page)[1]
    assert "<" not in source
    assert json.loads(source) == json.loads(json.dumps(made.to_dict()))
    assert "default-src 'none'" in page


def test_a_chart_is_saved_wherever_altair_would(tmp_path):
    page = io.StringIO()
    ours().save(page, format="html", embed_options={"actions": False})
    source = re.search(r'<script type="application/json">(.*?)</script>', page.getvalue())[1]
    assert json.loads(source)["usermeta"]["embedOptions"] == {"actions": False}
    ours().save(str(tmp_path / "x.svg"))
    assert "<script" not in (tmp_path / "x.svg").read_text(encoding="utf-8")
    ours().save(tmp_path / "x.json")
    stored = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(ours().to_dict()))
    (tmp_path / "x.html").mkdir()
    with pytest.raises(StoredFileError, match="could not be written"):
        ours().save(tmp_path / "x.html")


def test_a_piece_of_html_and_json_end_no_script():
    assert scripts(ours().to_html(fullhtml=False)) == 3  # and the drawing scripts
    assert "<" not in ours().to_json()
    assert json.loads(ours().to_json()) == json.loads(json.dumps(ours().to_dict()))


def test_joined_charts_keep_the_looks_the_words_and_the_numbers_of_each():
    loop, funnel = charts.loop(frames.priority()), charts.funnel(frames.funnel())
    both = (loop | funnel).to_dict()
    assert both["config"] == loop.to_dict()["config"]
    tables = [c.to_dict()["usermeta"]["engagekit"] for c in (loop, funnel)]
    assert both["usermeta"]["engagekit"] == tables
    assert both["description"] == " ".join(c.to_dict()["description"] for c in (loop, funnel))
    assert bundle(loop | funnel)["text/html"].count("<details>") == 2
    assert [part["title"]["text"] for part in both["hconcat"]] == [
        c.to_dict()["title"]["text"] for c in (loop, funnel)
    ]


def test_what_a_user_sets_lies_over_our_looks():
    found = charts.loop(frames.priority()).configure_axis(labelFontSize=9).to_dict()["config"]
    plain = charts.loop(frames.priority()).to_dict()["config"]
    assert found["axis"] == plain["axis"] | {"labelFontSize": 9}
    assert found["title"] == plain["title"]


def test_charts_of_ones_own_and_their_renderer_stay_as_they_are():
    with alt.renderers.enable("html", fullhtml=False):
        before, active = bundle(theirs()), alt.renderers.active
        ours().save(io.StringIO(), format="html")
        bundle(ours())
        bundle(ours() | theirs())
        assert plain(bundle(theirs())) == plain(before)
        assert alt.renderers.active == active
        assert alt.renderers.options == {"fullhtml": False}
    assert "data-engagekit-chart" not in before["text/html"]
    assert type(theirs().properties(title="Mine")) is alt.Chart
    assert type(theirs() | theirs()) is alt.HConcatChart
    assert type(alt.Chart.from_dict(ours().to_dict())).__module__.startswith("altair")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "join",
    [
        lambda: theirs() & ours(),
        lambda: theirs() + ours(),
        lambda: alt.hconcat(theirs(), ours()),
        lambda: alt.vconcat(ours(), ours().properties(title="again")),
        lambda: alt.concat(ours(), ours()),
        lambda: alt.layer(ours()),
        lambda: alt.hconcat(theirs(), ours() | ours()),
        lambda: alt.hconcat(*[ours()] * 2),
    ],
    ids=["below", "over", "beside", "joined", "grid", "layered", "two levels", "the same twice"],
)
@pytest.mark.parametrize("consolidated", [True, False])
def test_inside_a_chart_of_ones_own_names_still_end_no_script(join, consolidated):
    with (
        alt.renderers.enable("html"),
        alt.data_transformers.enable(consolidate_datasets=consolidated),
    ):
        html = bundle(join())["text/html"]
        source = json.dumps(join().to_dict(), ensure_ascii=False)
    assert not re.search(r"</script *><script>/|\\*/</script|<!--", html, re.IGNORECASE)
    assert source.count("alert(1)") > 1
    seen = source.replace("\u2060", "")
    assert [seen.count(name) for name in BREAKS_OUT] == [source.count("alert(1)")] * 3


def test_a_single_view_of_ours_decides_on_the_right_too():
    # Python asks the right-hand chart first only where its class is made of the left-hand one's.
    right = single()
    for made in (theirs() | right, theirs() & right, theirs() + right):
        assert "data-engagekit-chart" in bundle(made)["text/html"]


def test_options_of_a_show_reach_the_drawing(monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda found, **_: shown.append(found))
    ours().display(actions=False, renderer="canvas")
    ours().show()
    source = re.search(r'<script type="application/json">(.*?)</script>', shown[0]["text/html"])[1]
    assert json.loads(source)["usermeta"]["embedOptions"] == {
        "actions": False,
        "renderer": "canvas",
    }
    assert shown[1] == bundle(ours())


def test_a_browser_is_given_the_offline_page(monkeypatch):
    from altair.utils import _show

    opened = []
    monkeypatch.setattr(_show, "open_html_in_browser", opened.append)
    with alt.renderers.enable("browser"):
        ours().show()
    assert opened == [ours().to_html()]


def test_data_from_elsewhere_are_refused_with_a_reason():
    chart = ours() | alt.Chart("https://example.org/data.csv").mark_point().encode(x="a:Q")
    with pytest.raises(ParameterError, match="without internet"):
        bundle(chart)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser, path):
    """Open a page; return it, what it asked for, and what it said."""
    page, asked, said = browser.new_page(), [], []
    page.on("request", lambda r: asked.append(r.url))
    page.on("dialog", lambda d: (said.append(d.message), d.dismiss()))
    page.on("pageerror", lambda e: said.append(str(e)))
    page.route("http*://**", lambda route: route.abort())
    page.goto(path.as_uri())
    return page, [url for url in asked if not url.startswith(("file:", "data:"))], said


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt-get install chromium)")
@pytest.mark.parametrize("name", ["as it comes", "interactive", "three", "below theirs"])
def test_a_saved_chart_is_live_asks_for_nothing_and_runs_no_name(tmp_path, browser, name):
    MADE[name](ours()).save(tmp_path / "x.html")
    page, asked, said = opened(browser, tmp_path / "x.html")
    page.wait_for_selector("[data-drawn=live] svg.marks")
    assert (asked, said) == ([], [])
    assert NAMES[0] in page.locator("svg.marks").first.text_content()
    page.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt-get install chromium)")
def test_the_same_names_do_run_as_altair_writes_them(tmp_path, browser):
    # Else the test above would show nothing.
    rows = alt.InlineData(values=[{"name": name} for name in NAMES])
    alt.Chart(rows).mark_point().encode(y=alt.Y("name:N", sort=None)).save(tmp_path / "x.html")
    page, asked, said = opened(browser, tmp_path / "x.html")
    assert "1" in said
    assert any("cdn.jsdelivr.net" in url for url in asked)
    page.close()
