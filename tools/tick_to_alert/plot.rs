//! Percentile plots as SVG: time over percentile, both logarithmic, relay and engine side by side.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 70.0;
const COLOURS: [&str; 4] = ["#888888", "#c0392b", "#2471a3", "#1e8449"];
/// Percentiles of the axis: 0, 90, 99 ... by 1 / (1 - p) as a power of ten.
const DECADES: usize = 5;

/// A curve's name and values in ns.
pub type Curve<'a> = (&'a str, &'a Histogram<u64>);

/// A plot of these curves. `foot` says what they were taken on.
pub fn svg(title: &str, foot: &str, curves: &[Curve<'_>]) -> String {
    let max = curves.iter().map(|(_, histogram)| histogram.max()).max().unwrap_or(1).max(10) as f64;
    let min = curves.iter().map(|(_, histogram)| histogram.min()).min().unwrap_or(1).max(1) as f64;
    let (low, high) = (min.log10().floor(), max.log10().ceil());
    let x = |quantile: f64| {
        let decades = -(1.0 - quantile).max(10f64.powi(-(DECADES as i32))).log10();
        LEFT + (WIDTH - LEFT - RIGHT) * decades / DECADES as f64
    };
    let y = |ns: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (ns.max(1.0).log10() - low) / (high - low).max(1.0);
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="{LEFT}" y="24" font-size="15">{}</text>
"#,
        escaped(title)
    );
    // Writing to a String cannot fail, here and below.
    for decade in low as i32..=high as i32 {
        let (place, end) = (y(10f64.powi(decade)), WIDTH - RIGHT);
        let label = micros(decade);
        let _ = writeln!(out, r##"<line x1="{LEFT}" x2="{end}" y1="{place:.1}" y2="{place:.1}" stroke="#dddddd"/>"##);
        let _ = writeln!(out, r#"<text x="{}" y="{:.1}" text-anchor="end">{label}</text>"#, LEFT - 6.0, place + 4.0);
    }
    for (decade, label) in ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"].iter().enumerate() {
        let (place, end) = (x(1.0 - 10f64.powi(-(decade as i32))), HEIGHT - BOTTOM);
        let _ = writeln!(out, r##"<line x1="{place:.1}" x2="{place:.1}" y1="{TOP}" y2="{end}" stroke="#dddddd"/>"##);
        let _ = writeln!(out, r#"<text x="{place:.1}" y="{}" text-anchor="middle">{label}</text>"#, end + 16.0);
    }
    for (index, (name, histogram)) in curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let point = |value: hdrhistogram::iterators::IterationValue<u64>| {
            format!("{:.1},{:.1}", x(value.quantile_iterated_to()), y(value.value_iterated_to() as f64))
        };
        let points: Vec<String> = histogram.iter_quantiles(8).map(point).collect();
        let _ = writeln!(
            out,
            r#"<polyline fill="none" stroke="{colour}" stroke-width="2" points="{}"/>"#,
            points.join(" ")
        );
        let place = LEFT + 8.0 + 110.0 * index as f64;
        let _ = writeln!(out, r#"<text x="{place}" y="42" fill="{colour}">{}</text>"#, escaped(name));
    }
    let _ = writeln!(out, r##"<text x="{LEFT}" y="{}" fill="#555555">{}</text>"##, HEIGHT - 20.0, escaped(foot));
    out + "</svg>\n"
}

/// A power of ten of nanoseconds in words.
fn micros(decade: i32) -> String {
    match decade {
        ..3 => format!("{} ns", 10i64.pow(decade.max(0) as u32)),
        3..6 => format!("{} us", 10i64.pow(decade as u32 - 3)),
        6..9 => format!("{} ms", 10i64.pow(decade as u32 - 6)),
        _ => format!("{} s", 10i64.pow(decade as u32 - 9)),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
