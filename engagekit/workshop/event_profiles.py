"""What each event of a log is like, by its name and by how users do it: presence, system, milestone or action."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from engagekit.log import open_log

if TYPE_CHECKING:
    from typing import Any

SIGNUP = re.compile(
    r"sign(ed)?[ _.-]?up|regist|account[ _]?created|created?[ _]?account|user[ _]?created|joined|enrol|inscri|anmeld(?!ung gesehen)"
    r"|konto.{0,3}(erstellt|angelegt)|compte.{0,3}cr[eé]|cuenta.{0,3}cread|cadastr|aanmeld|iscri[tz]|rejestr|зарегистр|регистрац|注册|登録|가입",
    re.IGNORECASE,
)
# Presence, not progress: such events are never proposed as the core action.
PRESENCE = re.compile(
    r"log(ged)?[ _.-]?(in|out)|sign(ed)?[ _.-]?(in|out)|page[ _.-]?(view|enter|leave|load)|^page$|^pages$|home[ _.-]?page|view(ed)?\b|view(ed)?(_|$)|screen|session"
    r"|^(app[ _.-]?)?open(ed)?\b|(app|application)[ _.-]?(open|start|launch|install|update|foreground|background|become)|first[ _.-]?(open|visit)|foreground|background"
    r"|\bvisit|(^|_)visit|heartbeat|\bping\b|\btick\b|identify|autocapture|user_engagement|rageclick|web.?vitals|^\$"
    r"|angesehen|aufgerufen|eingeloggt|connexion|visite|inicio.?de.?sesi|login|acceso|anmeldung gesehen|入室|ログイン|登录|вход",
    re.IGNORECASE,
)
# Given or sent by the product, without a user's choice.
SYSTEM = re.compile(
    r"badge|reward|awarded|achievement|earn(ed)?\b|earn_|(?<!message )(sent|delivered|received|bounced|dropped)$|expired|renewed|trial.?(start|end)|cron|scheduled.?job"
    r"|system|webhook|auto[ _-](?!matio)|abzeichen|insignia|impression|shown$|displayed|seen$",
    re.IGNORECASE,
)
NAMED: dict[str, re.Pattern[str]] = {
    "advocacy": re.compile(
        r"invit|refer(ral|red|_a)|share(d)?\b|share_|_share|review(ed)?\b|recommend|einlad|eingeladen|empfehl|empfohlen|geteilt|teilen|parrain|partag|recomend|compart|convid|indic(ou|ar)|邀请|分享|招待|пригла|bount",
        re.IGNORECASE,
    ),
    "outreach": re.compile(
        r"e?-?mail.?(sent|delivered|received)|^e?mail|push|newsletter|campaign|notification.?(sent|received)|message.?sent.?to|sms.?sent|benachrichtigung|courriel|correo|boletin|рассылк|邮件|メール",
        re.IGNORECASE,
    ),
    "feedback_asked": re.compile(
        r"(survey|nps|feedback|rating).{0,3}(shown|asked|prompt|sent|displayed|requested)|umfrage.{0,3}gezeigt|encuesta.{0,3}mostrad",
        re.IGNORECASE,
    ),
    "feedback_given": re.compile(
        r"(survey|nps|feedback|rating).{0,3}(answer|submit|given|complet|respon|sent_by)|umfrage.{0,3}(beantwort|ausgef)|encuesta.{0,3}(respond|complet)|rated\b",
        re.IGNORECASE,
    ),
    "errors": re.compile(r"error|exception|crash|fail(ed|ure)?\b|fehler|erreur|\berro\b|ошибк|错误|エラー", re.IGNORECASE),
    "support": re.compile(
        r"ticket|support|help.?(request|contact)|complain|chat.?started|hilfe.?anfrage|soporte|assistance", re.IGNORECASE
    ),
}  # fmt: skip
AN_END = re.compile(r"cancel|unsubscri|unregist|delete(d)?.?account|account.?delet|churn|uninstall|app_remove|k[uü]ndig|désabonn|baja\b", re.IGNORECASE)  # fmt: skip
# By these patterns an event is told apart whatever its name; measured on the three shared logs, the sample and made products.
OPENS, EVERYWHERE = (
    0.6,
    0.3,
)  # presence: the first of its day so often, and on so many of all active days
ALONE, LED = (
    0.25,
    0.3,
)  # system: so often a day's only event, and so much less often the first of a fuller day
MILESTONE = 1.2  # what those who do it do no more often than this


def profiled(events: Any) -> pl.DataFrame:
    """Describe the events of a log.

    Returns
    -------
    polars.DataFrame
        By ``score``, largest first: ``event, users, repeating, times, first_of`` as in `event_table`; ``score``, the
        further days on which its users repeat it, at most five each; ``opens``, on how many of its days with other
        events too it comes before all of these; ``alone``, on how many it is the only one; ``everywhere``, its share of
        all active days; ``place``, the median place in the order in which users first do things (0 to 1);
        ``presence``, ``system``, ``ending``: what its name or pattern says.
    """
    log, dates_only = open_log(events)
    rows = log.select("user_id", pl.col("event").cast(pl.String), "at").collect(engine="streaming")
    rows = rows.with_columns(pl.col("at").dt.date().alias("day"))
    days = rows.group_by("user_id", "day").agg(
        pl.col("at").min().alias("start"), pl.col("event").n_unique().alias("kinds")
    )
    by_day = (
        rows.group_by("user_id", "day", "event")
        .agg(pl.col("at").min().alias("first"), pl.len().alias("times"))
        .join(days, on=["user_id", "day"])
    )
    mine = by_day.group_by("user_id", "event").agg(
        pl.len().alias("days"), pl.col("times").sum(), pl.col("first").min().alias("at")
    )
    order = pl.col("at").rank("average").over("user_id") / pl.len().over("user_id")
    begun = (pl.col("at") == pl.col("at").min().over("user_id")).alias("begun")
    counted = (
        mine.with_columns(order.alias("place"), begun)
        .group_by("event")
        .agg(
            pl.len().cast(pl.Int64).alias("users"),
            (pl.col("days") > 1).sum().cast(pl.Int64).alias("repeating"),
            pl.col("times").sum().cast(pl.Int64),
            pl.col("begun").sum().cast(pl.Int64).alias("first_of"),
            (pl.col("days").cast(pl.Int64) - 1).clip(0, 5).sum().alias("score"),
            pl.col("place").median(),
        )
    )
    shapes = _shapes(by_day, days.height)
    found = counted.join(shapes, on="event").with_columns(pl.col("opens").fill_null(0.0))
    # Days without times of day have no first event.
    clocked = not dates_only and rows.select((pl.col("at").dt.time() != pl.time(0)).mean()).item()
    presence = (pl.col("opens") >= OPENS) & (pl.col("everywhere") >= EVERYWHERE)
    system = (pl.col("alone") >= ALONE) & (pl.col("opens") < LED * pl.col("alone"))
    system &= pl.col("first_of") < 0.02 * pl.col("users")  # never a user's first
    if not clocked or clocked < 0.5:
        presence = system = pl.lit(value=False)
    else:
        presence &= (pl.col("score") > 0) & (pl.len() > 2)
    named = {kind: [bool(p.search(e)) for e in found["event"]] for kind, p in (("p", PRESENCE), ("s", SYSTEM), ("x", AN_END))}  # fmt: skip
    return (
        found.with_columns(
            (presence | pl.Series(named["p"])).alias("presence"),
            (system | pl.Series(named["s"])).alias("system"),
            pl.Series("ending", named["x"]),
        )
        .sort("score", "users", "event", descending=[True, True, False])
    )  # fmt: skip


def _shapes(by_day: pl.DataFrame, active_days: int) -> pl.DataFrame:
    """Say of each event how often it opens a day, is alone on it, and on how many of all active days it is."""
    return by_day.group_by("event").agg(
        (pl.col("first") == pl.col("start")).filter(pl.col("kinds") > 1).mean().alias("opens"),
        (pl.col("kinds") == 1).mean().alias("alone"),
        (pl.len() / max(1, active_days)).alias("everywhere"),
    )
