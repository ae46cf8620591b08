//! Configuration files of upstream programs, written as handlebars templates: strict (a missing value is an error) and without HTML escapes.

use handlebars::Handlebars;
use serde::Serialize;

use crate::RenderError;

pub(crate) fn render(
    name: &'static str,
    template: &str,
    values: &impl Serialize,
) -> Result<String, RenderError> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(handlebars::no_escape);
    engine
        .render_template(template, values)
        .map_err(|error| RenderError::Template {
            template: name,
            source: Box::new(error),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_an_error_and_not_an_empty_line() {
        assert!(matches!(
            render("t", "port {{port}}", &serde_json::json!({})),
            Err(RenderError::Template { .. })
        ));
    }

    #[test]
    fn text_is_not_escaped_as_html() {
        assert_eq!(
            render("t", "{{a}}", &serde_json::json!({"a": "x<\"y\">"})).unwrap(),
            "x<\"y\">"
        );
    }
}
