use serde_json::json;

use super::*;

const CANARY: &str = "c4n4ry";

fn masked(mut value: Value) -> String {
    mask(&mut value);
    value.to_string()
}

#[test]
fn a_planted_secret_survives_nowhere() {
    let basic = format!("Basic {CANARY}");
    let places = [
        json!({"spec": {"containers": [{"env": [{"name": "REDIS_PASSWORD", "value": CANARY}]}]}}),
        json!({"spec": {"containers": [{"args": [format!("--admin-token={CANARY}")]}]}}),
        json!({"spec": {"containers": [{"args": ["--password", CANARY]}]}}),
        json!({"spec": {"httpHeaders": [{"name": "Authorization", "value": basic}]}}),
        json!({"data": {"redis.conf": format!("port 6379\nrequirepass {CANARY}\n")}}),
        json!({"data": {"config.yaml": format!("basic_auth:\n  password: {CANARY}\n")}}),
        json!({"data": {"password": CANARY}}),
        json!({"data": {"tls.pem": format!("-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----\n")}}),
        json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY}}}),
        json!({"metadata": {"managedFields": [CANARY]}}),
    ];
    for place in places {
        let text = masked(place.clone());
        assert!(!text.contains(CANARY), "{place} became {text}");
    }
    let lines = [
        format!("GET /x Authorization: Bearer {CANARY}"),
        format!("curl -H 'Authorization: {basic}' https://example.org"),
        format!("map[Authorization:[{basic}] Accept:[*/*]]"),
        format!("dialling https://user:{CANARY}@example.org:8443/x"),
        format!("redis://:{CANARY}@redis:6379/0"),
        format!("exec [\"--password\",\"{CANARY}\"] failed"),
        format!("the session is eyJhbGciOiJFZERTQSJ9.{CANARY}.{CANARY}"),
    ];
    for line in lines {
        let text = mask_text(&line);
        assert!(!text.contains(CANARY), "{line} became {text}");
    }
}

const NAMES: [&str; 14] = [
    "password",
    "REDIS_PASSWORD",
    "apikey",
    "api_key",
    "api-key",
    "X-Api-Key",
    "private_key",
    "privateKey",
    "secret_key",
    "access_key",
    "accessKey",
    "authorization",
    "clientSecret",
    "admin-token",
];

/// What people and programs write for `name` and `value`, with the text of files and logs among it.
fn written(name: &str, value: &str) -> Vec<Value> {
    let setting = json!({"a": {name: value, "b": 1}});
    let list = json!({name: [value, value], "b": 1});
    let variable = json!({"env": [{"name": name, "value": value}, {"name": "b", "value": "1"}]});
    let arguments = json!({"args": [format!("--{name}"), value, "--b"]});
    let together = json!({"args": [format!("--{name}={value}")]});
    let mut all = Vec::new();
    for object in [setting, list, variable, arguments, together] {
        let line = object.to_string();
        let mut texts = vec![
            format!("{object:#}"),
            format!("level=info body={line} took=1s"),
            serde_norway::to_string(&object).unwrap(),
            line,
        ];
        // In a block of YAML, where an argument ends is nobody's to say.
        if object["args"]
            .as_array()
            .is_some_and(|args| args.len() == 1)
            && value.contains('\n')
        {
            texts.remove(2);
        }
        // The end of a line may be missing, and JSON in quotes is no JSON: names and values beside each other are not seen there.
        if object.get("a").is_some() {
            let line = object.to_string();
            texts.push(line[..line.len() - 1].to_owned());
            texts.push(format!("msg={line:?} took=1s"));
        }
        all.push(object);
        all.extend(
            texts
                .into_iter()
                .map(|text| json!({"data": {"file": text}})),
        );
    }
    all.push(json!(format!("[auth]\n{name} = {value:?}\n")));
    all
}

#[test]
fn no_value_of_a_telling_name_survives_in_any_notation() {
    let values = [
        "@",
        "@ and @",
        "@\"@",
        "it's @, #@: @",
        "@\n@\n  @: @\n\n@",
        "-@",
        "[@",
        "@\\",
    ];
    for name in NAMES {
        for value in values {
            for place in written(name, &value.replace('@', CANARY)) {
                let text = masked(place.clone());
                assert!(!text.contains(CANARY), "{place:#}\nbecame\n{text}");
            }
        }
    }
}

#[test]
fn references_to_secrets_stay_readable() {
    let pod = json!({
        "volumes": [{"name": "tls", "secret": {"secretName": "gateway-tls"}}],
        "env": [{"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "gloo-mesh-redis", "key": "password"}}}],
        "envFrom": [{"secretRef": {"name": "my-token"}}],
        "imagePullSecrets": [{"name": "mirror-credentials"}],
        "image": "ghcr.io/external-secrets/external-secrets:v0.9.1",
    });
    assert_eq!(masked(pod.clone()), pod.to_string());
    let network = json!({"redis": {"credentialsSecret": "mine"}, "images": {"pullSecrets": ["mirror"]}, "extra": {"envSecret": "my-token"}});
    assert_eq!(masked(network.clone()), network.to_string());
    for object in [pod, network] {
        let file = serde_norway::to_string(&object).unwrap();
        assert_eq!(mask_text(&file), file);
        let line = format!("applying {object}");
        assert_eq!(mask_text(&line), line);
    }
    let line = "redis.external.credentialsSecret: Secret gloo-mesh/redis-auth-secrets has no key password (it has: username); add it";
    assert_eq!(mask_text(line), line);
}

#[test]
fn ordinary_text_is_left_alone() {
    let texts = [
        "level=info msg=\"two of three nodes are ready\" node=worker-1\nsecond line",
        "open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory",
        "scrape http://10.0.0.1:9091/metrics?a=b@c",
        "--authorization-mode=Node,RBAC",
        "{\"level\":\"info\",\"fields\":{\"node\":\"worker-1\",\"ready\":[1,2]}}",
    ];
    for text in texts {
        assert_eq!(mask_text(text), text);
    }
}

#[test]
fn what_stands_around_a_secret_stays_readable() {
    for (text, shown) in [
        ("a=1 token=x b=2", "a=1 token=(masked) b=2"),
        (
            "https://user:x@host:1/path said no",
            "https://(masked)@host:1/path said no",
        ),
        (
            "body={\"password\":\"x y\",\"user\":\"me\"} ok",
            "body={\"password\":\"(masked)\",\"user\":\"me\"} ok",
        ),
        (
            "password: |\n  x\n  y\nuser: me",
            "password: (masked)\n(masked)\nuser: me",
        ),
    ] {
        assert_eq!(mask_text(text), shown);
    }
}
