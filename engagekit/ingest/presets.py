"""The exports people have: which columns of a product's export hold the user, the event, the time and the properties."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from engagekit.errors import ParameterError, check_choice

Path: TypeAlias = tuple[str, ...]
# The names of `PRESETS`, as a command line and a type checker read them.
PresetName: TypeAlias = Literal[
    "amplitude",
    "ga4",
    "mixpanel",
    "mixpanel_before_2023",
    "posthog",
    "segment",
    "rudderstack",
    "snowplow",
    "matomo",
]


@dataclass(frozen=True)
class Preset:
    """Where one kind of export keeps what.

    Each of `user`, `event` and `at` is a list of places, of which the first that holds something counts.
    `bags` are the places where properties lie, addressed by their bare name; `aliases` hold the id of a
    visitor or device that stands beside the user's own id once it is known.
    """

    user: tuple[Path, ...]
    event: tuple[Path, ...]
    at: tuple[Path, ...]
    at_format: str | None = None
    aliases: tuple[Path, ...] = ()
    bags: tuple[Path, ...] = ()
    columns: tuple[str, ...] = ()
    quoted: bool = True
    local: bool = False
    pairs: tuple[str, ...] = field(default=())
    table: bool = False  # where no column names the event, the table does: pages, identifies
    prefix: str = ""  # what stands before the id of a device where a user's id belongs
    inside: str = ""  # the list of actions within each line, a visit


def _paths(*names: str) -> tuple[Path, ...]:
    return tuple(tuple(name.split("/")) for name in names)


# Snowplow writes enriched events as tab-separated values without a header, in this order
# (https://docs.snowplow.io/docs/pipeline/enriched-tsv-format).
_SNOWPLOW = """
    app_id platform etl_tstamp collector_tstamp dvce_created_tstamp event event_id txn_id
    name_tracker v_tracker v_collector v_etl user_id user_ipaddress user_fingerprint domain_userid
    domain_sessionidx network_userid geo_country geo_region geo_city geo_zipcode geo_latitude
    geo_longitude geo_region_name ip_isp ip_organization ip_domain ip_netspeed page_url page_title
    page_referrer page_urlscheme page_urlhost page_urlport page_urlpath page_urlquery
    page_urlfragment refr_urlscheme refr_urlhost refr_urlport refr_urlpath refr_urlquery
    refr_urlfragment refr_medium refr_source refr_term mkt_medium mkt_source mkt_term mkt_content
    mkt_campaign contexts se_category se_action se_label se_property se_value unstruct_event
    tr_orderid tr_affiliation tr_total tr_tax tr_shipping tr_city tr_state tr_country ti_orderid
    ti_sku ti_name ti_category ti_price ti_quantity pp_xoffset_min pp_xoffset_max pp_yoffset_min
    pp_yoffset_max useragent br_name br_family br_version br_type br_renderengine br_lang
    br_features_pdf br_features_flash br_features_java br_features_director br_features_quicktime
    br_features_realplayer br_features_windowsmedia br_features_gears br_features_silverlight
    br_cookies br_colordepth br_viewwidth br_viewheight os_name os_family os_manufacturer
    os_timezone dvce_type dvce_ismobile dvce_screenwidth dvce_screenheight doc_charset doc_width
    doc_height tr_currency tr_total_base tr_tax_base tr_shipping_base ti_currency ti_price_base
    base_currency geo_timezone mkt_clickid mkt_network etl_tags dvce_sent_tstamp refr_domain_userid
    refr_device_tstamp derived_contexts domain_sessionid derived_tstamp event_vendor event_name
    event_format event_version event_fingerprint true_tstamp
"""
SNOWPLOW_COLUMNS = tuple(_SNOWPLOW.split())

_MIXPANEL = Preset(
    user=_paths(
        "properties/$user_id", "$user_id", "properties/distinct_id", "distinct_id", "Distinct ID"
    ),
    event=_paths("event", "event_name", "name", "Event Name"),
    at=_paths("properties/time", "time"),
    at_format="s",
    aliases=_paths("properties/$device_id", "$device_id", "device_id"),
    bags=_paths("properties"),
    prefix="$device:",
)

_SEGMENT = Preset(
    user=_paths("userId", "user_id", "anonymousId", "anonymous_id"),
    aliases=_paths("anonymousId", "anonymous_id"),
    event=_paths("event", "type"),
    at=_paths("timestamp", "originalTimestamp", "original_timestamp", "receivedAt", "received_at"),
    bags=_paths("properties", "traits", "context"),
    table=True,
)

PRESETS: dict[PresetName, Preset] = {
    "amplitude": Preset(
        user=_paths("user_id", "amplitude_id", "device_id"),
        event=_paths("event_type"),
        at=_paths("event_time"),
        aliases=_paths("amplitude_id"),
        bags=_paths("event_properties", "user_properties", "group_properties"),
    ),
    "ga4": Preset(
        user=_paths("user_id", "user_pseudo_id"),
        event=_paths("event_name"),
        at=_paths("event_timestamp"),
        aliases=_paths("user_pseudo_id"),
        at_format="us",
        bags=_paths("event_params", "user_properties"),
        pairs=("event_params", "user_properties"),
    ),
    "mixpanel": _MIXPANEL,
    # Projects made before 2023 export wall-clock seconds of the project's time zone.
    "mixpanel_before_2023": Preset(
        user=_MIXPANEL.user,
        event=_MIXPANEL.event,
        at=_MIXPANEL.at,
        at_format="s",
        aliases=_MIXPANEL.aliases,
        bags=_MIXPANEL.bags,
        local=True,
        prefix=_MIXPANEL.prefix,
    ),
    "posthog": Preset(
        user=_paths("person_id", "person.id", "distinct_id", "*.person_id", "*.distinct_id"),
        aliases=_paths("distinct_id", "*.distinct_id"),
        event=_paths("event", "*.event"),
        at=_paths("timestamp", "*.timestamp"),
        bags=_paths("properties", "person_properties", "*.properties"),
    ),
    "segment": _SEGMENT,
    "rudderstack": _SEGMENT,
    "snowplow": Preset(
        user=_paths("user_id", "domain_userid", "network_userid"),
        event=_paths("event_name", "event"),
        at=_paths("derived_tstamp", "collector_tstamp"),
        aliases=_paths("domain_userid"),
        bags=_paths("unstruct_event/data/data"),
        columns=SNOWPLOW_COLUMNS,
        quoted=False,
    ),
    # The visits log (Live.getLastVisitsDetails): a list of visits, each with its actions.
    "matomo": Preset(
        user=_paths("userId", "visitorId"),
        event=_paths("eventAction", "type"),
        at=_paths("timestamp"),
        at_format="s",
        aliases=_paths("visitorId"),
        inside="actionDetails",
    ),
}


def preset_of(name: str | None) -> Preset | None:
    """Look up a preset by name, or say which there are."""
    if name is None:
        return None
    folded = name.casefold() if isinstance(name, str) else name
    faults = check_choice("preset", folded, list(PRESETS))
    if faults:
        raise ParameterError(faults[0])
    return next(preset for known, preset in PRESETS.items() if known == folded)


OWN_COLUMNS = 5  # so many names of an export's columns, and over half of a table's, are no chance


def likely(columns: list[str]) -> str | None:
    """Name the preset whose columns these look like, to suggest it."""
    have = {name.casefold() for name in columns}
    told = [
        (name, preset)
        for name, preset in PRESETS.items()
        if not (preset.columns or preset.local or preset.inside)
    ]
    for name, preset in PRESETS.items():
        shared = have & {column.casefold() for column in preset.columns}
        if len(shared) >= OWN_COLUMNS and 2 * len(shared) > len(have):
            return name
    for certain in (True, False):
        for name, preset in told:
            roles = (preset.user, preset.event, preset.at)
            # A visitor's id tells an export from a log that merely has columns of plain names.
            visitor = not preset.aliases or _any_in(have, preset.aliases, certain=certain)
            if visitor and all(_any_in(have, places, certain=certain) for places in roles):
                return name
    return None


def _any_in(have: set[str], places: tuple[Path, ...], *, certain: bool) -> bool:
    # What lies inside a column is certain only where its name is known with dots.
    return any((".".join(place) if certain else place[0]).casefold() in have for place in places)
