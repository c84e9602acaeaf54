//! Kinks and rounding: where central differences cannot tell, they say so and why.

use cotangent::document::{TextPage, text};
use cotangent::scalar::format::{Notation, json, page};

use super::traced;

#[test]
fn where_a_kink_or_rounding_hides_the_slope_the_verdict_is_cannot_tell_and_the_reason_is_named() {
    for (formula, point, reason) in [
        ("abs(sin(x))", "x=pi", "v2 = abs(v1) is near its kink at v1 = 1.2246467991473532e-16"),
        ("relu(sin(x))", "x=-pi", "v2 = relu(v1) is near its kink"),
        ("relu(x)", "x=0", "v1 = relu(v0) is at its kink at v0 = 0"),
        ("step(x)", "x=0", "v1 = step(v0) is at its jump at v0 = 0"),
        ("sign(x)", "x=0", "v1 = sign(v0) is at its jump"),
        ("max(x, y)", "x=2,y=2", "v1 = max(v-1, v0) is at its kink at v-1 = 2, v0 = 2"),
        ("min(x, 3)*y", "x=3,y=2", "v1 = min(v-1, 3) is at its kink at v-1 = 3"),
        ("max(x*x, 2)", "x=sqrt(2)", "v2 = max(v1, 2) is near its kink at v1 = 2.0000000000000004"),
        ("abs(x + 1 - 1)", "x=1e-17", "v3 = abs(v2) is so near its kink that rounding decides at v2 = 0"),
        ("x + 1e20 - 1e20", "x=1", "rounding hides the slope: v1 = v0 + 1e20 is 1e20 there"),
        ("sin(x)", "x=1e16", "f changes too much between x and the nearest numbers of float64"),
        ("cos(x)", "x=1e300", "f changes too much between x and the nearest numbers of float64"),
        ("tan(x)", "x=pi/2", "v1 = tan(v0) is near its pole at v0 = 1.5707963267948966"),
        ("atan2(x, y)", "x=0,y=-1", "v1 = atan2(v-1, v0) is at its jump at v-1 = 0, v0 = -1"),
        ("x + y*y", "x=1,y=1e10", "rounding hides the slope: v1 = v0 * v0 is 1e20 there"),
        ("sigmoid(x)", "x=37", "rounding hides the slope: v1 = sigmoid(v0)"),
        ("x*1e-320", "x=0.5", "v1 = v0 * 1e-320 is 5e-321 there: it has lost digits"),
        ("asin(x)", "x=1-1e-16", "f has no value on one side of the point"),
    ] {
        let found = traced(formula, point);
        let check = &found.checks.differences[0];
        assert_eq!(check.agrees(), None, "{formula} at {point}: {check:?}");
        let note = check.note.as_deref().unwrap();
        assert!(note.contains(reason), "{formula} at {point}: {note}");
        let page =
            text(&page(&found, Notation::Griewank, 4, None), TextPage { width: 400, ..TextPage::PLAIN });
        assert!(page.contains("cannot tell") && page.contains(note), "{page}");
        assert!(!page.contains("DIFFERS"), "{page}");
        let json: serde_json::Value = serde_json::from_str(&json(&found).unwrap()).unwrap();
        let row = &json["checks"]["central_differences"][0];
        assert_eq!((&row["agrees"], row["note"].as_str()), (&serde_json::Value::Null, Some(note)));
    }
}

#[test]
fn beside_a_kink_and_at_large_inputs_differences_still_tell() {
    for (formula, point) in [
        ("abs(sin(x))", "x=3"),
        ("abs(x-1)", "x=1+1e-9"),
        ("relu(x)", "x=1e-30"),
        ("max(x, x)", "x=2"),
        ("min(x, y) + relu(x - y)", "x=1,y=1.000001"),
        ("abs(x)", "x=-1e300"),
        ("sin(x)", "x=1e12"),
        ("x + sin(x)", "x=1e8"),
        ("x/(x + 1e-20)", "x=0"),
        ("sin(x)", "x=pi/2"),
        ("sin(x)^2 + cos(x)^2", "x=1"),
        ("x*1e-20", "x=3"),
        ("cos(x)", "x=0"),
        ("step(x)", "x=1"),
        ("x^2", "x=0"),
        ("sin(2*pi*64*x)", "x=0.3"),
        ("1e-12*sin(1e8*x)", "x=0.3"),
    ] {
        for check in traced(formula, point).checks.differences {
            assert_eq!((check.agrees(), &check.note), (Some(true), &None), "{formula} at {point}: {check:?}");
        }
    }
}
