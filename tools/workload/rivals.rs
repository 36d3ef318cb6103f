//! The rivals' figures as they were measured with the same files of seed 1 (`rivals/README.md`): medians, on 2 cores of an AMD EPYC.

use serde_json::{Value, json};

/// Where the figures come from and what they are.
pub fn figures() -> Value {
    json!({
        "source": "rivals/README.md, medians; 2 cores of an AMD EPYC (family 26), 24 GiB; not measured by this tool",
        "flink_in_process": {
            "ticks_per_s": {
                "parallelism 1": 2_245_358, "parallelism 2, 1 source": 3_688_475, "parallelism 2, 2 sources": 3_156_556
            },
            "tick_to_alert_us": {
                "10000/s": { "p50": 27.0, "p99": 200, "p99.9": 2_019, "max": 5_205 },
                "50000/s": { "p50": 19.0, "p99": 1_262, "p99.9": 3_562, "max": 4_702 },
                "100000/s": { "p50": 16.6, "p99": 1_279, "p99.9": 3_658, "max": 5_746 },
                "500000/s": { "p50": 11.9, "p99": 3_203, "p99.9": 6_774, "max": 7_701 },
                "50000/s, 1000 changes/s": { "p50": 20.2, "p99": 1_596, "p99.9": 6_778, "max": 9_466 }
            },
            "rule_to_effect_us": {
                "50000/s, 1000 changes/s": { "p50": 89.5, "p99": 2_945, "p99.9": 5_905, "max": 10_612 }
            },
            "rss_mib": { "100000 rules": 321, "1000000 rules": 675 },
            "exact_with_changes": false
        },
        "redis_over_sockets": {
            "ticks_per_s": {
                "Lua script a tick, pipelined": 306_952, "4 plain commands a tick, pipelined": 465_046,
                "Lua script per 100 ticks": 644_108
            },
            "tick_to_alert_us": {
                "10000/s": { "p50": 37.9, "p99": 156, "p99.9": 4_053, "max": 4_328 },
                "50000/s": { "p50": 23.3, "p99": 375, "p99.9": 4_398, "max": 4_762 },
                "100000/s": { "p50": 22.3, "p99": 2_703, "p99.9": 4_709, "max": 6_490 },
                "50000/s, 1000 changes/s": { "p50": 22.8, "p99": 73, "p99.9": 2_996, "max": 4_636 }
            },
            "rule_to_effect_us": {
                "50000/s, 1000 changes/s": { "p50": 26.2, "p99": 122, "p99.9": 3_806, "max": 5_789 }
            },
            "rss_mib": { "100000 rules": 20, "1000000 rules": 184 },
            "exact_with_changes": true
        }
    })
}
