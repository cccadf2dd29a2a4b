//! The company as tables: services, their operations and what each asks of others, audience, devices, networks.

/// `(namespace, service, team, tier)`. The namespace is the part of the company; the team owns it.
pub(crate) const SERVICES: &[(&str, &str, &str, &str)] = &[
    ("edge", "gateway", "edge", "critical"),
    ("edge", "auth", "identity", "critical"),
    ("edge", "device-registry", "devices", "high"),
    ("edge", "geo-locator", "edge", "medium"),
    ("edge", "ab-allocator", "experimentation", "high"),
    ("edge", "flag-service", "experimentation", "high"),
    ("home", "lolomo", "home", "critical"),
    ("home", "row-builder", "home", "critical"),
    ("home", "personal-rows", "home", "high"),
    ("home", "continue-watching", "home", "high"),
    ("home", "top-lists", "home", "medium"),
    ("home", "genre-index", "discovery", "high"),
    ("rec", "recommender", "recommendation", "critical"),
    ("rec", "ranker", "recommendation", "critical"),
    ("rec", "feature-store", "ml-platform", "high"),
    ("rec", "similars", "recommendation", "medium"),
    ("rec", "viewing-history", "member-data", "high"),
    ("rec", "bookmarks", "member-data", "high"),
    ("art", "artwork", "artwork", "high"),
    ("art", "image-selector", "artwork", "high"),
    ("art", "evidence", "artwork", "medium"),
    ("art", "localization", "content", "medium"),
    ("content", "catalog", "content", "critical"),
    ("content", "availability", "content", "high"),
    ("content", "title-metadata", "content", "high"),
    ("content", "episodes", "content", "medium"),
    ("content", "trailers", "content", "low"),
    ("content", "people", "content", "low"),
    ("content", "ratings", "member-data", "medium"),
    ("search", "search", "discovery", "high"),
    ("search", "query-understanding", "discovery", "medium"),
    ("search", "suggestions", "discovery", "medium"),
    ("search", "search-index", "discovery", "high"),
    ("content", "details", "content", "high"),
    ("playback", "playback", "playback", "critical"),
    ("playback", "licensing", "playback", "critical"),
    ("playback", "manifest", "playback", "critical"),
    ("playback", "subtitles", "playback", "medium"),
    ("playback", "cdn-steering", "delivery", "high"),
    ("playback", "entitlement", "member", "critical"),
    ("member", "accounts", "member", "critical"),
    ("member", "billing", "payments", "critical"),
    ("member", "profiles", "member", "high"),
    ("member", "messages", "messaging", "low"),
    ("member", "notifications", "messaging", "low"),
];

/// `(service, operation, own milliseconds, stages)`: the calls of one stage run at once, stages one after the other.
/// A callee is `service:operation` or `system:store`; `kafka:` is a topic it publishes to.
pub(crate) const OPERATIONS: &[(&str, &str, f64, &[&[&str]])] = &[
    (
        "gateway",
        "/api/start",
        6.0,
        &[
            &["auth:Verify", "device-registry:Get", "geo-locator:Locate"],
            &["ab-allocator:Allocate", "flag-service:Evaluate"],
            &["profiles:List", "messages:Banner"],
        ],
    ),
    ("gateway", "/api/lolomo", 7.0, &[&["auth:Verify"], &["ab-allocator:Allocate"], &["lolomo:Page"]]),
    ("gateway", "/api/search", 6.0, &[&["auth:Verify"], &["search:Query"]]),
    ("gateway", "/api/details", 6.0, &[&["auth:Verify"], &["details:Title"]]),
    ("gateway", "/api/play", 7.0, &[&["auth:Verify", "entitlement:Check"], &["playback:Start"]]),
    ("auth", "Verify", 4.0, &[&["evcache:tokens"]]),
    ("device-registry", "Get", 5.0, &[&["cassandra:devices"]]),
    ("geo-locator", "Locate", 2.0, &[]),
    ("ab-allocator", "Allocate", 4.0, &[&["evcache:allocations"]]),
    ("flag-service", "Evaluate", 3.0, &[]),
    (
        "lolomo",
        "Page",
        15.0,
        &[
            &["evcache:page_cache"],
            &["row-builder:Build", "continue-watching:Row", "top-lists:Row"],
            &["artwork:Assign"],
        ],
    ),
    (
        "row-builder",
        "Build",
        20.0,
        &[&["genre-index:Rows", "personal-rows:Candidates"], &["recommender:Recommend"]],
    ),
    ("personal-rows", "Candidates", 12.0, &[&["similars:Near"]]),
    ("continue-watching", "Row", 8.0, &[&["bookmarks:List"], &["catalog:Titles"]]),
    ("top-lists", "Row", 6.0, &[&["evcache:top_lists"]]),
    ("genre-index", "Rows", 7.0, &[&["elasticsearch:titles"]]),
    (
        "recommender",
        "Recommend",
        32.0,
        &[&["feature-store:Fetch", "viewing-history:Recent"], &["ranker:Rank"]],
    ),
    ("ranker", "Rank", 38.0, &[&["evcache:embeddings"]]),
    ("feature-store", "Fetch", 6.0, &[&["evcache:features", "cassandra:features"]]),
    ("similars", "Near", 9.0, &[&["cassandra:similars"]]),
    ("viewing-history", "Recent", 6.0, &[&["cassandra:viewing_history"]]),
    ("bookmarks", "List", 5.0, &[&["cassandra:bookmarks"]]),
    ("artwork", "Assign", 12.0, &[&["image-selector:Select"]]),
    ("image-selector", "Select", 14.0, &[&["evcache:images"], &["evidence:Text"]]),
    ("evidence", "Text", 6.0, &[&["localization:Strings"]]),
    ("localization", "Strings", 3.0, &[&["evcache:strings"]]),
    ("catalog", "Titles", 7.0, &[&["evcache:catalog"], &["availability:Filter"]]),
    ("availability", "Filter", 5.0, &[&["evcache:availability"]]),
    ("title-metadata", "Get", 6.0, &[&["evcache:metadata"], &["availability:Filter"]]),
    ("episodes", "List", 7.0, &[&["cassandra:episodes"]]),
    ("trailers", "List", 5.0, &[&["postgresql:trailers"]]),
    ("people", "Cast", 5.0, &[&["postgresql:people"]]),
    ("ratings", "Many", 5.0, &[&["cassandra:ratings"]]),
    (
        "search",
        "Query",
        18.0,
        &[&["query-understanding:Parse"], &["search-index:Search"], &["ratings:Many", "catalog:Titles"]],
    ),
    ("query-understanding", "Parse", 12.0, &[&["suggestions:Complete"]]),
    ("suggestions", "Complete", 5.0, &[&["elasticsearch:queries"]]),
    ("search-index", "Search", 25.0, &[&["elasticsearch:titles"]]),
    (
        "details",
        "Title",
        12.0,
        &[
            &["title-metadata:Get", "episodes:List", "ratings:Many", "trailers:List"],
            &["similars:Near", "artwork:Assign", "people:Cast"],
        ],
    ),
    (
        "playback",
        "Start",
        20.0,
        &[
            &["licensing:License", "manifest:Build", "bookmarks:List"],
            &["cdn-steering:Choose"],
            &["kafka:playback-events"],
        ],
    ),
    ("licensing", "License", 18.0, &[&["postgresql:licenses"]]),
    ("manifest", "Build", 22.0, &[&["subtitles:Tracks", "title-metadata:Get"]]),
    ("subtitles", "Tracks", 5.0, &[&["evcache:subtitles"]]),
    ("cdn-steering", "Choose", 6.0, &[&["geo-locator:Locate"]]),
    ("entitlement", "Check", 5.0, &[&["accounts:Plan"]]),
    ("accounts", "Plan", 5.0, &[&["postgresql:accounts"], &["billing:Standing"]]),
    ("billing", "Standing", 6.0, &[&["postgresql:billing"]]),
    ("profiles", "List", 6.0, &[&["postgresql:profiles"]]),
    ("messages", "Banner", 7.0, &[&["notifications:Pending"]]),
    ("notifications", "Pending", 5.0, &[&["cassandra:notifications"]]),
];

/// Median milliseconds of one access.
pub(crate) const STORE_SYSTEMS: &[(&str, f64)] =
    &[("evcache", 1.0), ("cassandra", 5.0), ("postgresql", 4.0), ("elasticsearch", 16.0), ("kafka", 2.0)];

/// `(cloud region, cluster, short name)`.
pub(crate) const REGIONS: &[(&str, &str, &str)] =
    &[("us-east-1", "prod-us", "us"), ("eu-west-1", "prod-eu", "eu"), ("ap-south-1", "prod-ap", "ap")];

/// `(ISO 3166 code, share of users, region, round trip in ms)`.
pub(crate) const COUNTRIES: &[(&str, f64, usize, f64)] = &[
    ("US", 0.22, 0, 26.0),
    ("CA", 0.06, 0, 30.0),
    ("MX", 0.08, 0, 55.0),
    ("BR", 0.10, 0, 85.0),
    ("GB", 0.12, 1, 22.0),
    ("DE", 0.12, 1, 26.0),
    ("FR", 0.10, 1, 25.0),
    ("ES", 0.06, 1, 36.0),
    ("IN", 0.08, 2, 60.0),
    ("JP", 0.06, 2, 95.0),
];

/// A network provider.
pub(crate) struct IspRow {
    /// Autonomous system; the numbers are those RFC 5398 keeps for documents.
    pub(crate) asn: i64,
    pub(crate) name: &'static str,
    /// Factor on round trips and image times.
    pub(crate) slowness: f64,
    /// Share of the users of each country where it works.
    pub(crate) places: &'static [(&'static str, f64)],
}

const fn isp(asn: i64, name: &'static str, slowness: f64, places: &'static [(&'static str, f64)]) -> IspRow {
    IspRow { asn, name, slowness, places }
}

/// The network providers.
pub(crate) const ISPS: &[IspRow] = &[
    isp(64496, "Coastal Cable", 1.0, &[("US", 0.5), ("CA", 0.35)]),
    isp(64497, "Prairie Fiber", 0.85, &[("US", 0.5), ("CA", 0.65)]),
    isp(64498, "Andes Telecom", 1.2, &[("MX", 0.6), ("BR", 0.5)]),
    isp(64499, "Litoral Movel", 1.35, &[("MX", 0.4), ("BR", 0.5)]),
    isp(64500, "Albion Broadband", 0.95, &[("GB", 0.6)]),
    isp(64501, "Rhein Net", 0.9, &[("DE", 0.62)]),
    isp(64502, "Hexagone", 0.9, &[("FR", 0.58)]),
    isp(64503, "Iberfone", 1.1, &[("ES", 0.6)]),
    isp(64504, "Northlink", 1.05, &[("GB", 0.4), ("DE", 0.38), ("FR", 0.42), ("ES", 0.4)]),
    isp(64505, "Deccan Wireless", 1.4, &[("IN", 0.65)]),
    isp(64506, "Sakura Net", 0.8, &[("JP", 0.7)]),
    isp(64507, "Pacific Link", 1.15, &[("IN", 0.35), ("JP", 0.3)]),
];

/// `(app, platform, share of sessions, SDK, versions oldest first; the last one is being rolled out)`.
pub(crate) const APPS: &[(&str, &str, f64, &str, &[&str])] = &[
    ("tvui", "tv", 0.52, "player-core", &["8.40.3", "8.41.2", "8.42.0"]),
    ("ios", "ios", 0.15, "player-ios", &["17.3.0", "17.4.1", "17.5.0"]),
    ("android", "android", 0.20, "player-android", &["9.11.0", "9.12.0"]),
    ("web", "web", 0.13, "player-web", &["2026.45.1", "2026.46.0"]),
];

/// A kind of device.
pub(crate) struct DeviceRow {
    pub(crate) app: &'static str,
    pub(crate) maker: &'static str,
    pub(crate) model: &'static str,
    pub(crate) category: &'static str,
    /// System on chip.
    pub(crate) soc: &'static str,
    pub(crate) os: &'static str,
    /// Share among the devices of its app.
    pub(crate) share: f64,
    /// Factor on work of the main thread.
    pub(crate) slowness: f64,
}

/// `what` is app, maker, model, category, system on chip and operating system.
const fn device(what: [&'static str; 6], share: f64, slowness: f64) -> DeviceRow {
    let [app, maker, model, category, soc, os] = what;
    DeviceRow { app, maker, model, category, soc, os, share, slowness }
}

/// The kinds of devices.
pub(crate) const DEVICES: &[DeviceRow] = &[
    device(["tvui", "Kanto", "KT-55A", "tv", "mt5895", "android_tv"], 0.17, 1.15),
    device(["tvui", "Kanto", "KT-43S", "tv", "mt5873", "android_tv"], 0.13, 1.45),
    device(["tvui", "Solara", "S9-OLED", "tv", "sx9", "Tizen"], 0.18, 0.85),
    device(["tvui", "Solara", "S6-LED", "tv", "sx6", "Tizen"], 0.14, 1.2),
    device(["tvui", "Veda", "V-Prime", "tv", "mt9653", "webOS"], 0.16, 1.0),
    device(["tvui", "Veda", "V-Stick", "stb", "s905", "webOS"], 0.12, 1.7),
    device(["tvui", "Pylon", "P-Box", "console", "zen2", "tvOS"], 0.10, 0.6),
    device(["ios", "Pomaceous", "Phone15", "phone", "a17", "iOS"], 0.6, 0.55),
    device(["ios", "Pomaceous", "Slate9", "tablet", "a15", "iPadOS"], 0.4, 0.65),
    device(["android", "Minato", "M20", "phone", "sd8g2", "Android"], 0.3, 0.7),
    device(["android", "Minato", "M7-Lite", "phone", "sd480", "Android"], 0.25, 1.25),
    device(["android", "Orbit", "O-Tab", "tablet", "t616", "Android"], 0.2, 1.05),
    device(["android", "Orbit", "O5", "phone", "d900", "Android"], 0.25, 0.9),
    device(["web", "Generic", "Desktop", "desktop", "x86_64", "Linux"], 1.0, 0.6),
];

/// `(view, gateway route, main thread ms, image ms, share among the views after the first lolomo)`.
pub(crate) const VIEWS: &[(&str, &str, f64, f64, f64)] = &[
    ("app_start", "/api/start", 900.0, 120.0, 0.0),
    ("lolomo", "/api/lolomo", 460.0, 330.0, 0.34),
    ("search", "/api/search", 210.0, 190.0, 0.14),
    ("details", "/api/details", 250.0, 240.0, 0.32),
    ("player", "/api/play", 280.0, 60.0, 0.20),
];

/// Index of the view in [`VIEWS`].
pub(crate) const APP_START: usize = 0;
/// Index of the view in [`VIEWS`].
pub(crate) const LOLOMO: usize = 1;

/// An experiment; the first cell is the control.
pub(crate) struct ExperimentRow {
    pub(crate) name: &'static str,
    pub(crate) owner: &'static str,
    /// Cells with their shares.
    pub(crate) cells: &'static [(&'static str, f64)],
}

/// The experiments.
pub(crate) const EXPERIMENTS: &[ExperimentRow] = &[
    ExperimentRow { name: "lolomo_rows", owner: "home", cells: &[("A", 0.5), ("B", 0.5)] },
    ExperimentRow {
        name: "artwork_crop",
        owner: "artwork",
        cells: &[("control", 0.5), ("wide", 0.25), ("tight", 0.25)],
    },
    ExperimentRow { name: "search_blend", owner: "discovery", cells: &[("A", 0.5), ("B", 0.5)] },
];
/// Index in [`EXPERIMENTS`] of the one whose cell B can be at fault.
pub(crate) const LOLOMO_ROWS: usize = 0;
/// Index in [`EXPERIMENTS`] of the decoy that starts within the world.
pub(crate) const SEARCH_BLEND: usize = 2;

/// Flags that exist; the script says which one is switched in this world.
pub(crate) const FLAGS: &[&str] =
    &["hero_autoplay", "gpu_compositor", "prefetch_rows", "hdr_thumbnails", "motion_tiles"];
