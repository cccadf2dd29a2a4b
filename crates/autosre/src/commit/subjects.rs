//! The words of code by which a reader knows what a line is about: lists with bars between the words.

use super::diff::About;

/// Words by which a setting or a call tells what it is about; the first that fits counts, for "retry delay" is a delay.
pub(super) const SUBJECTS: &[(About, &str)] = &[
    (About::Sampling, "sample|sampling|verbosity|verbose|level"),
    (About::Tolerance, "leeway|skew|grace|tolerance|drift"),
    (About::Backoff, "backoff|delay|jitter|interval|sleep|cooldown|debounce|pause"),
    (About::Retry, "retry|retries|attempt|tries"),
    (About::Timeout, "timeout|deadline"),
    (About::Lifetime, "ttl|expiry|expiration|lifetime|retention|maxage"),
    (About::Batch, "batch|chunk|bulk"),
    (
        About::Pool,
        "pool|conn|connection|worker|thread|concurrency|parallelism|semaphore|replica|inflight|executor",
    ),
    (About::Rate, "rps|qps|throttle|quota|burst|ratelimit|limiter"),
    (About::Memory, "memory|heap|xmx"),
    (About::Processor, "cpu|cores"),
    (About::Bound, "limit|max|cap|capacity|size|page|buffer|queue|depth|threshold|entrie|row"),
];
/// The same for calls only.
pub(super) const CALLS: &[(About, &str)] = &[
    (
        About::Cleanup,
        "close|release|cancel|free|dispose|delete|remove|evict|unsubscribe|clear|rollback|commit|done|stop|shutdown|drain",
    ),
    (About::Lock, "lock|unlock|mutex|synchronized|transaction"),
    (About::Cache, "cache|cached|memo|memoize"),
    (
        About::Start,
        "register|init|initialize|setup|bootstrap|seed|subscribe|mount|start|load|warm|migrate|install|bind|\
     enable|configure",
    ),
    (About::Access, "auth|authorize|authenticate|verify|validate|sign|credential|token|permission"),
];
/// Calls that leave the process, by a word of their name.
pub(super) const FAR: &str = "query|select|fetch|find|get|load|put|insert|save|update|send|post|publish|exec|execute|call|lookup|write";
/// New calls that start work that goes on by itself, and such that make the caller wait.
pub(super) const SPAWNING: &str = "spawn|thread|interval|goroutine";
pub(super) const WAITING: &str = "sleep|wait|fsync|block";
/// Names that stand before a bracket and call nothing that matters.
pub(super) const NO_CALLS: &str = "if|for|while|switch|catch|return|len|make|append|string|int|and|or|not|in";
/// Names whose lines tell or count something and do nothing.
pub(super) const TELLING: &str = "log|logger|logging|slog|zap|console|print|printf|println|errorf|span|tracer|attribute|prometheus|\
    counter|histogram|metrics|metrics_|inc|observe|mustregister|raise|throw";
/// Names by which a line imports.
pub(super) const IMPORTS: &str = "import|from|using|include|require|package|use";
/// Names by which a line defines a function.
pub(super) const DEFINES: &str = "func|def|fn|function|public|private|protected";
pub(super) const NULLS: &str = "nil|null|None|undefined|nullptr";
pub(super) const LENGTHS: &str = "len|length|size|count|empty|isEmpty";
pub(super) const SWITCHES: &str = "true|false";
/// Levels of logs, most talkative first.
pub(super) const LEVELS: &str = "trace|debug|info|warn|warning|error";

/// Names of things that keep what is put into them, and calls that put something there.
pub(super) const STORES: &str = "cache|seen|history|registry|listener|subscriber|session|pending|visited";
pub(super) const PUTTING: &str = "put|set|add|store|append|push";
/// Calls that read a pattern.
pub(super) const PATTERNS: &str = "MustCompile|compile|RegExp|Regex|matches";
