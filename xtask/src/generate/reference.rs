//! The API reference of a resource, written from its schema.

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};

/// Markdown in the making.
struct Page(String);

impl Page {
    fn add(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

/// One Markdown page: every field of `spec` by block, then `status`.
pub fn render(crd: &CustomResourceDefinition) -> Result<String> {
    let spec = &crd.spec;
    let version = spec.versions.first().context("the CRD has no version")?;
    let schema = version
        .schema
        .as_ref()
        .and_then(|schema| schema.open_api_v3_schema.as_ref())
        .context("the CRD has no schema")?;
    let mut page = Page(format!(
        "<!-- Written by `./dev gen`; change the Rust types, not this file. -->\n# {}\n\n`{}/{}`, {}, short name `{}`.\n\n{}\n",
        spec.names.kind,
        spec.group,
        version.name,
        if spec.scope == "Cluster" {
            "cluster scoped"
        } else {
            "namespaced"
        },
        spec.names
            .short_names
            .as_deref()
            .unwrap_or_default()
            .join("`, `"),
        schema.description.as_deref().unwrap_or_default(),
    ));
    rules(&mut page, schema);
    for (name, block) in properties(schema).filter(|(name, _)| ["spec", "status"].contains(name)) {
        page.add(&format!("\n## {name}\n"));
        text(&mut page, block);
        rules(&mut page, block);
        let (blocks, plain): (Vec<_>, Vec<_>) =
            properties(block).partition(|(_, field)| field.properties.is_some());
        if !plain.is_empty() {
            header(&mut page);
            for (field, schema) in plain {
                rows(&mut page, field, schema, required(block, field));
            }
        }
        for (field, schema) in blocks {
            page.add(&format!("\n### {name}.{field}\n"));
            text(&mut page, schema);
            rules(&mut page, schema);
            header(&mut page);
            for (inner, inner_schema) in properties(schema) {
                rows(&mut page, inner, inner_schema, required(schema, inner));
            }
        }
    }
    Ok(page.0)
}

fn properties(schema: &JSONSchemaProps) -> impl Iterator<Item = (&str, &JSONSchemaProps)> {
    schema
        .properties
        .iter()
        .flatten()
        .map(|(name, field)| (name.as_str(), field))
}

fn required(schema: &JSONSchemaProps, field: &str) -> bool {
    schema.required.iter().flatten().any(|name| name == field)
}

fn text(page: &mut Page, schema: &JSONSchemaProps) {
    if let Some(description) = &schema.description {
        page.add(&format!("\n{}\n", description.trim()));
    }
}

fn rules(page: &mut Page, schema: &JSONSchemaProps) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        if let Some(message) = &rule.message {
            page.add(&format!("\n> {message}\n"));
        }
    }
}

fn header(page: &mut Page) {
    page.add("\n| field | type | default | meaning |\n|---|---|---|---|\n");
}

/// One row per field, those of nested objects and of lists' items included.
fn rows(page: &mut Page, path: &str, schema: &JSONSchemaProps, required: bool) {
    let default = match &schema.default {
        Some(default)
            if default.0.is_object()
                || default.0.is_array() && default.0 == serde_json::json!([]) =>
        {
            String::new()
        }
        Some(default) => format!("`{}`", default.0),
        None if required => "required".to_owned(),
        None => String::new(),
    };
    let text = schema.description.clone().unwrap_or_default();
    let mut meaning = vec![text.trim().replace('\n', " ")];
    let rules = schema.x_kubernetes_validations.iter().flatten();
    meaning.extend(rules.filter_map(|rule| Some(format!("*{}.*", rule.message.as_ref()?))));
    let meaning = meaning.join(" ").replace('|', "\\|");
    page.add(&format!(
        "| `{path}` | {} | {default} | {meaning} |\n",
        kind(schema)
    ));
    for (name, field) in properties(schema) {
        rows(
            page,
            &format!("{path}.{name}"),
            field,
            self::required(schema, name),
        );
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
        for (name, field) in properties(item) {
            rows(
                page,
                &format!("{path}[].{name}"),
                field,
                self::required(item, name),
            );
        }
    }
}

fn kind(schema: &JSONSchemaProps) -> String {
    if let Some(values) = &schema.enum_ {
        let words: Vec<String> = values
            .iter()
            .map(|value| value.0.to_string().trim_matches('"').to_owned())
            .collect();
        return words.join(" \\| ");
    }
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "integer or string".to_owned();
    }
    let name = schema.type_.as_deref().unwrap_or("any");
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
        return format!("list of {}", kind(item));
    }
    if name == "object" && schema.additional_properties.is_some() {
        return "map".to_owned();
    }
    match (schema.minimum, schema.maximum) {
        (Some(least), Some(most)) => format!("{name}, {least} to {most}"),
        (Some(least), None) => format!("{name}, at least {least}"),
        (None, Some(most)) => format!("{name}, at most {most}"),
        (None, None) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crd() -> CustomResourceDefinition {
        serde_norway::from_str(
            r"
            spec:
              group: example.io
              scope: Cluster
              names: {kind: Thing, plural: things, shortNames: [th]}
              versions:
              - name: v1
                served: true
                storage: true
                schema:
                  openAPIV3Schema:
                    type: object
                    description: A thing.
                    properties:
                      spec:
                        type: object
                        required: [name]
                        properties:
                          name: {type: string, description: Its name.}
                          store:
                            type: object
                            description: Where it keeps data.
                            properties:
                              size: {type: integer, minimum: 1, maximum: 9, default: 3, description: How big.}
                              mode: {type: string, enum: [Fast, Safe]}
            ",
        )
        .unwrap()
    }

    #[test]
    fn fields_carry_type_default_limits_and_meaning() {
        let page = render(&crd()).unwrap();
        for line in [
            "| `name` | string | required | Its name. |",
            "### spec.store",
            "| `size` | integer, 1 to 9 | `3` | How big. |",
            "| `mode` | Fast \\| Safe |  |  |",
        ] {
            assert!(page.contains(line), "no {line:?} in:\n{page}");
        }
    }
}
