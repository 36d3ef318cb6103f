//! Answers as people and programs read them.

use hairtrigger::control::wire::{Answer, Body, Field, Place};
use hairtrigger::model::{Listed, NEVER, RuleState};
use serde_json::{Value, json};

fn state(state: RuleState) -> &'static str {
    match state {
        RuleState::Unknown => "unknown",
        RuleState::Clear => "clear",
        RuleState::Met => "met",
        RuleState::Fired => "fired",
    }
}

fn from(place: &Place) -> String {
    match place.session.trim_ascii() {
        [] => "before the feed's first message".into(),
        session => format!("from feed message {} of session {}", place.sequence, session.escape_ascii()),
    }
}

/// One line for people.
pub fn line(answer: &Answer) -> String {
    match &answer.body {
        Body::SetDone { place, version, state: stands, value, replaced, symbol_unknown } => {
            let stands = match value {
                Some(value) => format!("{}, now at {value}", state(*stands)),
                None => "no value yet".into(),
            };
            let replaced = if *replaced { ", replaces the earlier rule" } else { "" };
            let unknown = if *symbol_unknown { "; the feed has not named this symbol yet" } else { "" };
            format!("set: version {version}, {stands}, {}{replaced}{unknown}", from(place))
        }
        Body::RemoveDone { place, version } => format!("removed: version {version}, {}", from(place)),
        Body::UserRemoved { place, count } => format!("removed: {count} rules, {}", from(place)),
        Body::Rule(rule) => rule_line(rule),
        Body::ListDone { count, .. } => format!("{count} rules"),
        Body::Refused { code, field, retry_ms, .. } => {
            let field = if *field == Field::None { String::new() } else { format!(" in {}", field.name()) };
            let retry = if *retry_ms == 0 { String::new() } else { format!("; again in {retry_ms} ms") };
            format!("refused: {code}{field}{retry}")
        }
    }
}

fn rule_line(rule: &Listed) -> String {
    let (key, spec) = (&rule.key, &rule.spec);
    let mut text = format!(
        "user {} {}/{} {} {} {} {} version {} {}",
        key.user,
        key.symbol,
        key.slot,
        spec.signal.name(),
        spec.comparison.name(),
        spec.threshold,
        spec.fire.name(),
        rule.version,
        state(rule.state)
    );
    let mut add = |is_said: bool, what: String| text.extend(is_said.then(|| format!(" {what}")));
    add(rule.fires > 0, format!("fires {}", rule.fires));
    add(spec.rearm.0 > 0, format!("rearm {}", spec.rearm));
    add(spec.cooldown > 0, format!("cooldown {} ns", spec.cooldown));
    add(spec.max_fires > 0, format!("max_fires {}", spec.max_fires));
    add(spec.expires_at != NEVER, format!("expires_at {}", spec.expires_at));
    add(spec.tag > 0, format!("tag {}", spec.tag));
    text
}

/// One JSON object. Prices are decimal strings, times ns.
pub fn json(answer: &Answer) -> String {
    let (mut object, place) = match &answer.body {
        Body::SetDone { place, version, state: stands, value, replaced, symbol_unknown } => {
            let value = value.map(|value| value.to_string());
            let object = json!({"answer": "set", "version": version, "state": state(*stands), "value": value,
                "replaced": replaced, "symbol_unknown": symbol_unknown});
            (object, Some(place))
        }
        Body::RemoveDone { place, version } => (json!({"answer": "removed", "version": version}), Some(place)),
        Body::UserRemoved { place, count } => (json!({"answer": "user_removed", "count": count}), Some(place)),
        Body::Rule(rule) => (rule_json(rule), None),
        Body::ListDone { place, count, cursor } => {
            (json!({"answer": "list_end", "count": count, "cursor": cursor}), Some(place))
        }
        Body::Refused { place, code, field, retry_ms } => {
            let object = json!({"answer": "refused", "code": code.to_string(), "field": field.name(),
                "retry_ms": retry_ms});
            (object, Some(place))
        }
    };
    if let Some(place) = place {
        object["feed_session"] = place.session.trim_ascii().escape_ascii().to_string().into();
        object["feed_sequence"] = place.sequence.into();
        object["feed_time"] = place.feed_time.into();
    }
    object.to_string()
}

fn rule_json(rule: &Listed) -> Value {
    let (key, spec) = (&rule.key, &rule.spec);
    json!({"answer": "rule", "user": key.user, "symbol": key.symbol.to_string(), "slot": key.slot,
        "signal": spec.signal.name(), "when": spec.comparison.name(), "threshold": spec.threshold.to_string(),
        "fire": spec.fire.name(), "on_set": spec.on_set.name(), "rearm": spec.rearm.to_string(),
        "cooldown_ns": spec.cooldown, "max_fires": spec.max_fires,
        "expires_at": (spec.expires_at != NEVER).then_some(spec.expires_at), "tag": spec.tag,
        "version": rule.version, "fires": rule.fires, "state": state(rule.state)})
}
