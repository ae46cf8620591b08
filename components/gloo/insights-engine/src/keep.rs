//! The book in Redis: one hash per cluster, a field per insight (`docs/redis-keys.md`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gloo_insights::{Book, Insight, find};
use gloo_store::{ConnectionError, Redis};
use redis::{RedisError, pipe};

/// A cluster nobody judges any more is gone after it. Longer than anything cleared is shown.
const EXPIRE_SECONDS: u64 = 26 * 3600;
/// Bytes of an insight that is read back. Ours have some thousand.
const LARGEST: usize = 64 * 1024;

/// Why Redis did not serve.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("Redis is away")]
    Connection {
        #[from]
        source: ConnectionError,
    },
    #[error("Redis does not keep insights")]
    Redis {
        #[from]
        source: RedisError,
    },
}

pub fn redis_key(cluster: &str) -> String {
    format!("gloonet:v1:insights:{cluster}")
}

/// What was last written, so that only changes are.
#[derive(Debug, Default)]
pub struct Keeper {
    written: BTreeMap<String, BTreeMap<String, String>>,
}

impl Keeper {
    /// Writes what changed.
    pub async fn save(&mut self, redis: &Redis, book: &Book) -> Result<(), KeepError> {
        let wanted = texts(book);
        let mut connection = redis.get().await?;
        let mut transaction = pipe();
        transaction.atomic();
        let clusters: BTreeSet<&String> = wanted.keys().chain(self.written.keys()).collect();
        let nothing = BTreeMap::new();
        for cluster in clusters {
            let key = redis_key(cluster);
            let now = wanted.get(cluster).unwrap_or(&nothing);
            let before = self.written.get(cluster).unwrap_or(&nothing);
            for id in before.keys().filter(|id| !now.contains_key(*id)) {
                transaction.hdel(&key, id).ignore();
            }
            for (id, text) in now {
                if before.get(id) != Some(text) {
                    transaction.hset(&key, id, text).ignore();
                }
            }
            transaction
                .cmd("EXPIRE")
                .arg(&key)
                .arg(EXPIRE_SECONDS)
                .ignore();
        }
        transaction.exec_async(&mut connection).await?;
        self.written = wanted;
        Ok(())
    }

    /// After an error nobody knows what is there: everything is written again.
    pub fn forget(&mut self) {
        self.written.clear();
    }
}

fn texts(book: &Book) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut texts: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (id, insight) in &book.insights {
        // Plain data of ours is always JSON.
        let text = serde_json::to_string(insight).unwrap_or_default();
        let cluster = texts.entry(insight.cluster.clone()).or_default();
        cluster.insert(id.clone(), text);
    }
    texts
}

/// Reads the book of an earlier engine. What in it cannot be one of its insights is left out and counted.
pub async fn load(redis: &Redis, clusters: &BTreeSet<String>) -> Result<(Book, usize), KeepError> {
    let (mut book, mut refused) = (Book::default(), 0);
    let mut connection = redis.get().await?;
    for cluster in clusters {
        let all: HashMap<String, String> = redis::cmd("HGETALL")
            .arg(redis_key(cluster))
            .query_async(&mut connection)
            .await?;
        for (id, text) in all {
            match read(cluster, &id, &text) {
                Some(insight) => drop(book.insights.insert(id, insight)),
                None => refused += 1,
            }
        }
    }
    Ok((book, refused))
}

fn read(cluster: &str, id: &str, text: &str) -> Option<Insight> {
    let insight: Insight = (text.len() <= LARGEST)
        .then(|| serde_json::from_str(text).ok())
        .flatten()?;
    let own = format!("{}/{}/{}", insight.code, insight.cluster, insight.target);
    let same = insight.id == id && own == id && insight.cluster == cluster;
    (same && find(insight.code).is_some()).then_some(insight)
}

#[cfg(test)]
mod tests {
    use gloo_insights::{
        Settings, evaluate,
        testing::{NODES, Scene},
    };
    use gloo_record::cilium_agents::Health;

    use super::*;

    fn book() -> Book {
        let scene = Scene::healthy().agents(|agents| {
            agents.agents[0].health = Health::NoAnswer("refused".to_owned());
        });
        let settings = Settings::default();
        let all = evaluate(&scene.view(), &settings, || (), |_, (), ()| ());
        let mut book = Book::default();
        book.advance(("west", true), &all, &settings, "r", scene.now);
        book
    }

    #[test]
    fn an_insight_is_read_as_it_was_written_and_nothing_else_is() {
        let book = book();
        let texts = texts(&book);
        let id = format!("HLT0101/west/Node/{}", NODES[0]);
        let text = &texts["west"][&id];
        assert_eq!(read("west", &id, text).as_ref(), book.insights.get(&id));
        assert_eq!(read("east", &id, text), None);
        assert_eq!(read("west", "HLT0101/west/Node/other", text), None);
        assert_eq!(read("west", &id, "{}"), None);
        let unknown = text.replace("HLT0101", "HLT9999");
        assert_eq!(
            read("west", &id.replace("HLT0101", "HLT9999"), &unknown),
            None
        );
    }
}
