use super::*;

const DATASOURCES: &str = "apiVersion: 1\ndatasources:\n  - name: P\n    uid: p\n    type: prometheus\n    url: http://p\n    isDefault: true\n";
const DASHBOARD: &str = r#"{"uid": "one", "title": "One", "panels": [], "schemaVersion": 39}"#;

/// A provisioning folder with one data source, one provider and one dashboard, each of which a test may replace.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let providers = format!(
            "apiVersion: 1\nproviders:\n  - name: g\n    type: file\n    folder: F\n    options:\n      path: {}\n",
            folder.0.path().join("boards").display()
        );
        folder
            .write("datasources/a.yaml", DATASOURCES)
            .write("dashboards/a.yaml", &providers)
            .write("boards/one.json", DASHBOARD)
    }

    fn write(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn replace(self, path: &str, from: &str, to: &str) -> Self {
        let text = std::fs::read_to_string(self.0.path().join(path)).unwrap();
        assert!(text.contains(from), "{from:?} is not in {path}");
        self.write(path, &text.replace(from, to))
    }

    fn load(&self) -> Result<Content, LoadError> {
        load(self.0.path())
    }

    #[track_caller]
    fn refused(&self, reason: &str) {
        let error = self.load().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[track_caller]
    fn left_out(&self, reason: &str) {
        let content = self.load().unwrap();
        let said: Vec<String> = content.refused.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|text| text.contains(reason)), "{said:?}");
    }
}

#[test]
fn valid_files_are_served() {
    let content = Folder::new().load().unwrap();
    assert_eq!(
        (
            content.datasources.len(),
            content.dashboards.len(),
            content.refused.len()
        ),
        (1, 1, 0)
    );
    assert_eq!(content.dashboards[0].folder, "F");
}

#[test]
fn mounted_config_maps_are_read_once_although_they_are_links() {
    let folder = Folder::new().write("boards/..2026/two.json", &DASHBOARD.replace("ne\"", "wo\""));
    std::os::unix::fs::symlink("..2026/two.json", folder.0.path().join("boards/two.json")).unwrap();
    assert_eq!(folder.load().unwrap().dashboards.len(), 2);
}

#[test]
fn a_provisioning_file_without_api_version_or_with_bad_yaml_ends_the_start() {
    Folder::new()
        .replace("datasources/a.yaml", "apiVersion: 1\n", "")
        .refused("apiVersion");
    Folder::new()
        .replace("dashboards/a.yaml", "apiVersion: 1", "apiVersion: 7")
        .refused("apiVersion");
    Folder::new()
        .write("datasources/a.yaml", "apiVersion: 1\ndatasources: [")
        .refused("YAML");
    Folder::new()
        .replace(
            "datasources/a.yaml",
            "isDefault: true",
            "isDefault: perhaps",
        )
        .refused("YAML");
}

#[test]
fn a_data_source_without_name_type_or_url_ends_the_start() {
    Folder::new()
        .replace("datasources/a.yaml", "name: P", "name: ''")
        .refused("no name");
    Folder::new()
        .replace("datasources/a.yaml", "type: prometheus", "type: prometheos")
        .refused("no plugin");
    Folder::new()
        .replace("datasources/a.yaml", "url: http://p", "url: ''")
        .refused("no url");
    Folder::new()
        .replace(
            "datasources/a.yaml",
            "url: http://p",
            "url: http://p\n    access: sideways",
        )
        .refused("access");
}

#[test]
fn a_second_default_and_a_second_uid_end_the_start() {
    let second = DATASOURCES.replace("name: P", "name: Q");
    Folder::new()
        .write("datasources/b.yaml", &second)
        .refused("second default");
    Folder::new()
        .write(
            "datasources/b.yaml",
            &second.replace("isDefault: true", "isDefault: false"),
        )
        .refused("used twice");
}

#[test]
fn a_provider_of_unknown_type_without_path_or_with_a_missing_folder_ends_the_start() {
    Folder::new()
        .replace("dashboards/a.yaml", "type: file", "type: git")
        .refused("only file");
    Folder::new()
        .replace("dashboards/a.yaml", "      path:", "      paths:")
        .refused("options.path");
    Folder::new()
        .replace("dashboards/a.yaml", "boards", "nowhere")
        .refused("no folder");
}

#[test]
fn a_dashboard_without_title_with_bad_json_or_a_bad_uid_is_left_out() {
    Folder::new()
        .replace("boards/one.json", "\"One\"", "\" \"")
        .left_out("title cannot be empty");
    Folder::new()
        .write("boards/one.json", "{")
        .left_out("no JSON");
    Folder::new()
        .replace("boards/one.json", "\"one\"", "\"one/two\"")
        .left_out("illegal characters");
    Folder::new()
        .replace(
            "boards/one.json",
            "\"one\"",
            &format!("\"{}\"", "x".repeat(41)),
        )
        .left_out("longer than 40");
    let exported = format!(r#"{{"dashboard": {DASHBOARD}, "overwrite": true}}"#);
    Folder::new()
        .write("boards/one.json", &exported)
        .left_out("title cannot be empty");
}

#[test]
fn of_dashboards_with_one_uid_none_is_shown() {
    let folder = Folder::new().write("boards/two.json", &DASHBOARD.replace("\"One\"", "\"Two\""));
    folder.left_out("used more than once");
    assert_eq!(folder.load().unwrap().dashboards.len(), 0);
}

#[test]
fn of_dashboards_with_one_title_in_one_folder_none_is_shown() {
    let folder = Folder::new().write("boards/two.json", &DASHBOARD.replace("\"one\"", "\"two\""));
    folder.left_out("not unique");
}
