//! Who may see snapshots: asked of the API server for each request's token.

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error("send a token of the management cluster: Authorization: Bearer …")]
    Nobody,
    #[error("{user} may not get {path}; a ClusterRole with nonResourceURLs grants it")]
    Forbidden { user: String, path: String },
    #[error("the API server does not say who this is")]
    Api { source: kube::Error },
}

/// Asks whether the bearer of `token` may GET `path`.
pub async fn check(client: &Client, token: Option<&str>, path: &str) -> Result<(), Denied> {
    let token = token
        .filter(|token| !token.is_empty())
        .ok_or(Denied::Nobody)?;
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: token.to_owned(),
            ..TokenReviewSpec::default()
        },
        ..TokenReview::default()
    };
    let api = |source| Denied::Api { source };
    let reviews = Api::<TokenReview>::all(client.clone());
    let review = reviews.create(&PostParams::default(), &review).await;
    let status = review.map_err(api)?.status.unwrap_or_default();
    let user = status.user.filter(|_| status.authenticated == Some(true));
    let user = user.ok_or(Denied::Nobody)?;
    let name = user.username.clone().unwrap_or_default();
    let access = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username,
            groups: user.groups,
            uid: user.uid,
            non_resource_attributes: Some(NonResourceAttributes {
                path: Some(path.to_owned()),
                verb: Some("get".to_owned()),
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews = Api::<SubjectAccessReview>::all(client.clone());
    let review = reviews.create(&PostParams::default(), &access).await;
    let allowed = review
        .map_err(api)?
        .status
        .is_some_and(|status| status.allowed);
    if allowed {
        Ok(())
    } else {
        let path = path.to_owned();
        Err(Denied::Forbidden { user: name, path })
    }
}

#[cfg(test)]
mod tests;
