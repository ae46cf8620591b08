//! Answers of Prometheus' HTTP API (v1, instant query).

use serde_json::Value;

use super::Values;

/// Share of targets that are up, per job; a job without targets is left out.
pub(super) fn jobs_up(body: &str, jobs: &[String]) -> Result<Values, String> {
    let answer: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    if answer["status"] != "success" {
        return Err(answer["error"].as_str().unwrap_or("no result").to_owned());
    }
    let series = answer["data"]["result"].as_array().into_iter().flatten();
    let shares = series.filter_map(|one| {
        let job = one["metric"]["job"].as_str()?;
        let share: f64 = one["value"][1].as_str()?.parse().ok()?;
        jobs.iter()
            .any(|wanted| wanted == job)
            .then(|| (job.to_owned(), share))
    });
    Ok(shares.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wanted_jobs_with_targets_are_reported() {
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"job":"redis"},"value":[1,"0.5"]},{"metric":{"job":"other"},"value":[1,"1"]}]}}"#;
        assert_eq!(
            jobs_up(body, &["redis".to_owned(), "gateway".to_owned()]),
            Ok([("redis".to_owned(), 0.5)].into())
        );
    }

    #[test]
    fn an_error_of_prometheus_is_passed_on() {
        let body = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(jobs_up(body, &[]), Err("parse error".to_owned()));
    }
}
