//! When each component became healthy, from the moment the wait began.

use std::time::Duration;

use gloonet_api::{GlooNetworkStatus, status::ComponentHealth};

/// What changed, and when.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    health: ComponentHealth,
    /// When the present health was first seen.
    at: Duration,
}

impl Timeline {
    /// Takes note of a status seen `at` after the beginning; the sentences of what changed are returned.
    pub(super) fn note(&mut self, status: &GlooNetworkStatus, at: Duration) -> Vec<String> {
        let mut news = Vec::new();
        for component in &status.components {
            let known = self.rows.iter_mut().find(|row| row.name == component.name);
            match known {
                Some(row) if row.health == component.health => continue,
                Some(row) => (row.health, row.at) = (component.health, at),
                None => self.rows.push(Row {
                    name: component.name.clone(),
                    health: component.health,
                    at,
                }),
            }
            news.push(format!(
                "{:>6.1}s  {:<22} {:<12} {}",
                at.as_secs_f64(),
                component.name,
                component.health.as_str(),
                component.message
            ));
        }
        news
    }

    /// One line per component, earliest first, with a bar as long as its share of the whole.
    pub(super) fn render(&self) -> String {
        const WIDTH: f64 = 40.0;
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.at);
        let whole = rows.last().map_or(0.0, |row| row.at.as_secs_f64()).max(0.1);
        rows.iter().fold(
            "TIMELINE (seconds until the present health)\n".to_owned(),
            |text, row| {
                let seconds = row.at.as_secs_f64();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 0 and WIDTH"
                )]
                let bar = "=".repeat((seconds / whole * WIDTH) as usize);
                text + &format!(
                    "{:<22} {seconds:>6.1}  |{bar}> {}\n",
                    row.name,
                    row.health.as_str()
                )
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use gloonet_api::status::{ComponentState, ComponentStatus};

    use super::*;

    fn status(rows: &[(&str, ComponentHealth)]) -> GlooNetworkStatus {
        let row = |(name, health): &(&str, ComponentHealth)| ComponentStatus {
            name: (*name).to_owned(),
            version: String::new(),
            state: ComponentState::Managed,
            health: *health,
            message: "so it is".to_owned(),
            since: None,
            updated: None,
            ready: 0,
            desired: 0,
        };
        GlooNetworkStatus {
            components: rows.iter().map(row).collect(),
            ..GlooNetworkStatus::default()
        }
    }

    #[test]
    fn only_what_changed_is_news() {
        let mut timeline = Timeline::default();
        let first = status(&[
            ("redis", ComponentHealth::Progressing),
            ("crds", ComponentHealth::Healthy),
        ]);
        assert_eq!(timeline.note(&first, Duration::from_secs(1)).len(), 2);
        assert_eq!(
            timeline.note(&first, Duration::from_secs(2)),
            Vec::<String>::new()
        );
        let then = status(&[
            ("redis", ComponentHealth::Healthy),
            ("crds", ComponentHealth::Healthy),
        ]);
        let news = timeline.note(&then, Duration::from_secs(3));
        assert_eq!(news.len(), 1);
        assert!(
            news[0].contains("redis") && news[0].contains("Healthy"),
            "{news:?}"
        );
    }

    #[test]
    fn the_timeline_is_in_order_of_arrival() {
        let mut timeline = Timeline::default();
        timeline.note(
            &status(&[
                ("redis", ComponentHealth::Progressing),
                ("crds", ComponentHealth::Healthy),
            ]),
            Duration::from_secs(1),
        );
        timeline.note(
            &status(&[("redis", ComponentHealth::Healthy)]),
            Duration::from_secs(4),
        );
        let text = timeline.render();
        assert!(text.find("crds") < text.find("redis"), "{text}");
        assert!(text.contains("4.0"), "{text}");
    }
}
