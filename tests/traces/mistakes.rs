//! What is refused, with which words, at which column.

use cotangent::scalar::{Directions, TraceRequest, parse, parse_point, parse_points, trace};

use super::refused;

#[test]
fn mistakes_in_formulas_name_their_column() {
    for (formula, column, words) in [
        ("", 1, "empty"),
        ("   ", 1, "empty"),
        ("2*sine(x)", 3, "no function sine; did you mean sin?"),
        ("2*quux(x)", 3, "no function quux"),
        ("x + x(2)", 5, "for a product write x*("),
        ("sin x", 1, "sin is a function"),
        ("x +", 4, "ends where an operand is missing"),
        ("x + * 2", 5, "operand is missing before *"),
        ("2* *x", 4, "a power is written ^"),
        ("((x)", 1, "a ) is missing"),
        ("x)*2", 2, "closes nothing"),
        ("()", 2, "nothing stands in these parentheses"),
        ("sin()", 5, "sin takes 1 argument, not 0"),
        ("1+max(x)", 3, "max takes 2 arguments, not 1"),
        ("sin(x, 2)", 1, "sin takes 1 argument, not 2"),
        ("max(x,)", 7, "operand is missing before )"),
        ("(x, 2)", 3, "comma"),
        ("1,5*x", 2, "comma"),
        ("2x", 2, "a product is written with *"),
        ("x y", 3, "an operator is missing"),
        ("1e999*x", 1, "too large"),
        (".", 1, "not a number"),
        ("1.2.3", 4, "an operator is missing"),
        ("2π", 2, "a product is written with *"),
        ("2√x", 2, "a product is written with *"),
        ("x|y|", 2, "a product is written with *"),
        ("|x||y|", 4, "a product is written with *"),
        ("|x|y|z|", 4, "an operator is missing"),
        ("|x", 1, "never closed"),
        ("(|x)", 2, "this | is never closed"),
        ("|(x|", 2, "this parenthesis is never closed"),
        ("x + ²", 5, "operand is missing before this exponent"),
        ("sin²(x)", 1, "sin is a function: its power is written sin(x)^2"),
        ("sin⁻¹(x)", 1, "sin(x)^-1, its inverse function asin(x)"),
        ("max|x|", 1, "max is a function: its arguments stand in parentheses, max(a, b)"),
        ("√", 2, "ends where an operand is missing"),
        ("xⁿ", 2, "a power is written x^n"),
        ("f'(x)", 2, "the character \"'\" means nothing in a formula; derivatives are found without a prime"),
        (r"\frac{x}{2}", 1, r"the character '\' means nothing in a formula; LaTeX's commands are not read"),
        ("x′", 2, "without a prime"),
        ("“x”", 1, "leave quotation marks out"),
        ("y = x", 3, "on the right of ="),
        ("[x]", 1, "parentheses are ( and )"),
        ("np.sin(x)", 3, "write sin(x), not np.sin(x)"),
        ("v\u{307}1", 1, "leave the accent out"),
        ("ReLU(x)", 1, "did you mean relu?"),
        ("1e-400*x", 1, "too small for float64: it would become 0"),
        ("x + 1.2345e-320", 5, "it would become 1.2347e-320"),
        ("x^0.5e-999", 3, "it would become 0"),
        ("x # 2", 3, "'#'"),
        ("ä + $", 5, "'$'"),
    ] {
        let error = parse(formula).expect_err(formula);
        assert!(error.problem().contains(words), "{formula}: {error}");
        assert_eq!(error.position(), (1, column), "{formula}: {error}");
    }
}

#[test]
fn a_caret_stands_under_the_mistake_also_in_long_and_several_lines() {
    let lines = |formula: &str| -> Vec<String> {
        let text = parse(formula).unwrap_err().to_string();
        text.lines().map(str::to_owned).collect()
    };
    assert_eq!(lines("äx + sine(x)")[2..], ["    äx + sine(x)", "         ^^^^"]);
    assert_eq!(lines("日本 + $")[2..], ["    日本 + $", "           ^"]); // two columns each
    assert_eq!(lines("日本(x)")[2..], ["    日本(x)", "    ^^^^"]);
    let several = lines("x +\n y + $");
    assert!(several[0].ends_with("(line 2, column 6)"), "{several:?}");
    assert_eq!(several[2..], ["     y + $", "         ^"]);
    let long = format!("{}$+{}", "x+".repeat(500), "x+".repeat(500));
    let [_, _, shown, caret] = &lines(&long)[..] else { panic!() };
    assert!(shown.chars().count() < 90, "{shown}");
    let place = caret.chars().position(|c| c == '^').unwrap();
    assert_eq!(shown.chars().nth(place), Some('$'));
}

#[test]
fn mistakes_in_points_name_their_column() {
    for (point, column, words) in [
        ("x", 1, "lacks its value"),
        ("x=1,", 5, "nothing stands here"),
        ("x=1,x=2", 5, "x has a value already"),
        ("x=1,2=y", 5, "is not a name"),
        ("x=1y=2", 3, "\"1y\" is not a name"),
        ("x=1，2y=2", 5, "\"2y\" is not a name"),
        ("x=1, =2", 6, "a name is missing before this ="),
        ("x==1", 3, "a name is missing before this ="),
        ("x=1 x=2", 5, "x has a value already"),
        ("x₁=1 x1=2", 6, "x1 has a value already"),
        ("x=1,,y=2", 5, "nothing stands here"),
        (",x=1", 1, "nothing stands here"),
        ("x=1;", 5, "nothing stands here"),
        ("5 x=1", 1, "\"5\" lacks its value"),
        ("x=1,y", 5, "\"y\" lacks its value"),
        ("x=1 y", 5, "the value of x: an operator is missing"),
        ("x=max(1,2),y=2*", 16, "the value of y: the formula ends"),
        ("x=(1, y=2", 5, "the value of x: this comma"),
        ("x=1e-400", 3, "the value of x: this number is too small"),
        ("y=2, x=1e-400", 8, "the value of x: this number is too small"),
        ("x=", 3, "empty"),
        ("x=one", 3, "holds one"),
        ("x=1e999", 3, "too large"),
        ("x=1,y=2*", 9, "operand is missing"),
        ("x=1/0", 3, "not a finite number"),
    ] {
        let error = parse_point(point).expect_err(point);
        assert!(error.problem().contains(words), "{point}: {error}");
        assert_eq!(error.position(), (1, column), "{point}: {error}");
    }
}

#[test]
fn entries_of_a_point_stand_apart_by_commas_semicolons_or_space() {
    for text in [
        " x = pi/2 , y=-1",
        "x=pi/2 y=-1",
        "x = pi / 2 y = -1",
        "x=pi/2;y=-1",
        "x=pi/2\ny=-1\n",
        "  x=π/2\u{a0}y=−1  ",
        "x = max(pi/2, 1), y=min(-1, 0)",
        "ｘ＝pi/2，y=-1",
    ] {
        let point = parse_point(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(point, [("x".to_owned(), std::f64::consts::FRAC_PI_2), ("y".to_owned(), -1.0)], "{text}");
    }
    assert_eq!(parse_point("a=2 * 3").unwrap(), [("a".to_owned(), 6.0)]);
    assert_eq!(parse_point(" \n").unwrap(), []);
    let several = parse_points(["x=1", "", "y=2 z=3"]).unwrap();
    assert_eq!(several.iter().map(|(name, x)| format!("{name}{x}")).collect::<String>(), "x1y2z3");
    let error = parse_points(["x=1", "y=2 x=3"]).unwrap_err();
    assert_eq!((error.problem(), error.position()), ("x has a value already", (1, 5)));
}

#[test]
fn a_point_that_does_not_fit_the_formula_is_refused() {
    refused("x*y", "x=1", &["y has no value", "--at y=NUMBER", "column 3", "      ^"]);
    refused("x*y*z", "x=1", &["y (and 1 more) has no value"]);
    refused("alpha*x", "x=1,alhpa=2", &["alhpa", "did you mean alpha?"]);
    refused("x", "x=1 height=2", &["height is no input of the formula, whose only input is x"]);
    refused("x*y*z", "height=2", &["height is no input of the formula, whose inputs are x, y and z"]);
    refused("2", "height=2", &["height is no input of the formula, which has none"]);
    refused("pi*x", "x=1,π=3", &["pi is a constant"]);
    refused("e*x", "x=1,e=2", &["e is a constant"]);
    let along = TraceRequest { directions: Directions::Along(vec![("y".into(), 1.0)]), hessian: false };
    let error = trace(&parse("x").unwrap(), &[("x".into(), 1.0)], &along).unwrap_err().to_string();
    assert!(error.contains("y is no input"), "{error}");
}

#[test]
fn outside_a_domain_the_node_and_its_operand_are_named() {
    refused(
        "1 + ln(x - 1)",
        "x=1",
        &["v2 = ln(v1) is infinite at v1 = 0", "larger than 0", "column 5", "        ^^^^^^^^^"],
    );
    refused("ln(-x)", "x=1", &["v2 = ln(v1) is not defined at v1 = -1"]);
    refused("log10(x)", "x=-1", &["v1 = log10(x) is not defined at x = -1"]);
    refused("1/(x-1)", "x=1", &["v2 = 1 / v1 is infinite at v1 = 0", "divisor must not be 0"]);
    refused("(x-1)/(x-1)", "x=1", &["v2 = v1 / v1 is not defined at v1 = 0"]);
    refused("sqrt(x)", "x=-4", &["v1 = sqrt(x) is not defined at x = -4", "0 or larger"]);
    refused("asin(x)", "x=2", &["v1 = asin(x) is not defined at x = 2", "from -1 to 1"]);
    refused("x^0.5", "x=-1", &["v1 = x^0.5 is not defined at x = -1", "whole exponent"]);
    refused("x^-1", "x=0", &["v1 = x^(-1) is infinite at x = 0"]);
    refused("exp(x)", "x=1000", &["v1 = exp(x) overflows at x = 1000"]);
    refused("x*1e300", "x=1e300", &["v1 = x * 1e300 overflows"]);
    refused("x + ln(-1)", "x=1", &["ln(-1) is not defined", "column 5"]);
}

#[test]
fn where_a_tangent_or_a_second_derivative_has_no_value_the_place_is_named() {
    // Nothing flows back through step, so that only forward mode meets the partial.
    refused("sign(sqrt(x))", "x=0", &["tangent of v1 = sqrt(x) is infinite at x = 0", "column 6", "^^^^^^^"]);
    let request = TraceRequest { hessian: true, ..TraceRequest::default() };
    let error = trace(&parse("y + x^1.5").unwrap(), &parse_point("x=0,y=1").unwrap(), &request).unwrap_err();
    assert!(
        error.to_string().contains("second derivative of f by x and x is infinite at this point"),
        "{error}"
    );
    refused("(0-8)^(1/3)", "", &["(-8)^0.3333333333333333 is not defined"]);
}

#[test]
fn where_a_derivative_has_no_value_the_node_and_its_operand_are_named() {
    refused("sqrt(x)", "x=0", &["derivative of v1 = sqrt(x) by x is infinite at x = 0", "move the point"]);
    refused("acos(x)", "x=1", &["derivative of v1 = acos(x) by x is infinite at x = 1"]);
    refused(
        "x^y",
        "x=-2,y=2",
        &["derivative of v1 = x^y by y is not defined at x = -2, y = 2", "write it as a number"],
    );
}
